// The admin API's description held against a running gateway: every path with every method is asked, what answers is one of what is
// described, and its content fits the schema of it, with nothing that isn't described.

import type { ZodType } from "zod"
import { createApp } from "../../gateway/admin/app.ts"
import { adminDeps } from "../unit/admin/support/deps.ts"

interface Described {
  readonly method: string
  /** As hono has it: `/filters/:name{.+}/module`. */
  readonly path: string
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: unknown }>> }>>
}

export interface Asked {
  /** `GET /config`. */
  readonly what: string
  /** Null: it is all as described. */
  readonly wrong: string | null
  readonly status: number
}

/** Bodies that orders need to be understood; none of them is carried out. */
const BODIES: Readonly<Record<string, object>> = {
  "/config/rollback": { generation: 999_999 },
  "/routes/:route{.+}/weights": { weights: { nobody: 1 } },
  "/log": { level: "loud" },
  "/explain": { method: "GET", url: "http://localhost/" },
}
const QUERIES: Readonly<Record<string, string>> = { "/profile/cpu": "?worker=99", "/profile/heap": "?worker=99" }

export function describedEndpoints(): Described[] {
  return createApp(adminDeps()).openAPIRegistry.definitions.flatMap((each) =>
    each.type === "route" ? [each.route as unknown as Described] : [],
  )
}

/** Paths with methods that are mounted, in no order; what runs for all of them left out. */
export function mountedEndpoints(): string[] {
  const { routes } = createApp(adminDeps())
  return [...new Set(routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${trimmed(path)}`))]
}

export function trimmed(path: string): string {
  return path.replace(/(?<=.)\/$/, "")
}

/** `names`: what stands in paths when they are read; orders are given to what isn't there. */
export async function askDescribed(port: number, names: Readonly<Record<string, string>>): Promise<Asked[]> {
  const found: Asked[] = []
  for (const { method, path, responses } of describedEndpoints()) {
    const order = method !== "get"
    const at = trimmed(path).replace(/:(\w+)(?:\{[^}]*\})?|\{(\w+)\}/g, (_, a?: string, b?: string) =>
      order ? "nobody:1" : encodeURIComponent(names[a ?? b ?? ""]),
    )
    const body = order ? BODIES[trimmed(path)] : undefined
    const response = await fetch(`http://127.0.0.1:${port}${at}${QUERIES[path] ?? ""}`, {
      method: method.toUpperCase(),
      headers: { "x-sluice-admin": "1", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    found.push({ what: `${method.toUpperCase()} ${trimmed(path)}`, status: response.status, wrong: await wrongIn(response, responses) })
  }
  return found
}

async function wrongIn(response: Response, responses: Described["responses"]): Promise<string | null> {
  const type = (response.headers.get("content-type") ?? "").split(";")[0]
  const described = responses[response.status]?.content
  if (described === undefined) return `${response.status} is not described: ${await response.text()}`
  const schema = described[type]?.schema
  if (schema === undefined) {
    await response.body?.cancel()
    return `${type} is not described for ${response.status}`
  }
  if (type !== "application/json") {
    // Some have no end.
    await response.body?.cancel()
    return null
  }
  const value: unknown = await response.json()
  const parsed = (schema as ZodType).safeParse(value)
  if (!parsed.success) return `doesn't fit: ${JSON.stringify(parsed.error.issues.slice(0, 3))}`
  const [had, has] = [JSON.stringify(value), JSON.stringify(parsed.data)]
  return had.length === has.length ? null : `holds more than is described: ${had.slice(0, 500)}`
}
