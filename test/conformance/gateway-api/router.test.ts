// The conformance table, run through the router and what follows it up to the backend, without a socket.

import { describe, expect, test } from "vitest"
import { validateConfig } from "../../../gateway/config/load.ts"
import type { Config, RouteConfig } from "../../../gateway/config/model.ts"
import { hostOf } from "../../../gateway/http/authority.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { normalizePath } from "../../../gateway/http/path.ts"
import { HeaderEditor } from "../../../gateway/router/header-edits.ts"
import { redirectLocation, rewriteAuthority, rewritePath } from "../../../gateway/router/rewrite.ts"
import { Router } from "../../../gateway/router/router.ts"
import { WeightedSplit } from "../../../gateway/router/split.ts"
import { type ConformanceCase, type ConformanceRequest, documentOf, loadTable } from "./cases.ts"

interface Outcome {
  readonly status: number
  readonly location?: string
  readonly service?: string
  readonly forwarded?: { readonly method: string; readonly path: string; readonly host: string; readonly fields: Fields }
  readonly response?: Fields
}

function fieldsOf(headers: Readonly<Record<string, string>> = {}): Fields {
  return Fields.from(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const))
}

/** The configuration of a case; ports are only told apart, nothing listens. */
function configOf(conformance: ConformanceCase): Config {
  const document = documentOf(
    conformance,
    ({ name }) => `127.0.0.1:${20_000 + conformance.listeners.findIndex((listener) => listener.name === name)}`,
    () => "127.0.0.1:9001",
  )
  const result = validateConfig(document, { file: conformance.name, baseDir: "/" })
  if (!result.ok) throw new Error(result.problems.map(({ path, message }) => `${path} ${message}`).join("\n"))
  return result.config
}

/** What a gateway makes of a request, up to the backend and back. */
function send(
  conformance: ConformanceCase,
  config: Config,
  routers: ReadonlyMap<string, Router<RouteConfig>>,
  asked: ConformanceRequest,
  random: number,
): Outcome {
  const listener = conformance.listeners.find(({ name }) => name === asked.listener)
  const serving = config.listeners.find(({ name }) => name === asked.listener)
  const policy = serving?.protocol === "http" ? serving.path : undefined
  const router = routers.get(asked.listener)
  if (listener === undefined || policy === undefined || router === undefined) throw new Error(`${asked.id}: no listener ${asked.listener}`)
  const cut = asked.path.indexOf("?")
  const query = cut === -1 ? undefined : asked.path.slice(cut + 1)
  const path = normalizePath(cut === -1 ? asked.path : asked.path.slice(0, cut), policy)
  const authority = asked.host ?? `127.0.0.1:${listener.port}`
  const host = hostOf(authority)
  if (path === null || host === null) return { status: 400 }
  const fields = fieldsOf(asked.headers)
  const match = router.match(host, path, query, asked.method, fields)
  if (match === null) return { status: 404 }
  const { action, headers } = match.target
  if (action.kind === "respond") return { status: action.status }
  if (action.kind === "redirect") {
    const { redirect } = action
    const location = redirectLocation(redirect, match.matchedPrefix, path, query, authority, listener.scheme, listener.port)
    return { status: redirect.status, location }
  }
  const chosen = new WeightedSplit(action.backends.map(({ weight }) => weight)).pick(random)
  const backend = action.backends[chosen]
  if (backend === undefined || !Object.hasOwn(config.services, backend.service)) return { status: 500 }
  const rewrite = backend.rewrite ?? action.rewrite ?? {}
  new HeaderEditor(headers.request).apply(fields)
  new HeaderEditor(backend.headers.request).apply(fields)
  const response = fieldsOf(asked.backendHeaders)
  new HeaderEditor(backend.headers.response).apply(response)
  new HeaderEditor(headers.response).apply(response)
  const sent = rewritePath(rewrite, match.matchedPrefix, path)
  return {
    status: 200,
    service: backend.service,
    forwarded: {
      method: asked.method,
      path: query === undefined ? sent : `${sent}?${query}`,
      host: rewriteAuthority(rewrite, authority),
      fields,
    },
    response,
  }
}

function expectHeaders(fields: Fields | undefined, headers: Readonly<Record<string, string>> = {}, absent: readonly string[] = []): void {
  for (const [name, value] of Object.entries(headers)) expect(fields?.getAll(name.toLowerCase()).join(","), name).toBe(value)
  for (const name of absent) expect(fields?.has(name.toLowerCase()), name).toBe(false)
}

function expectOutcome(conformance: ConformanceCase, { expect: wanted }: ConformanceRequest, outcome: Outcome): void {
  if (wanted.status !== undefined) expect(wanted.status).toContain(outcome.status)
  const deployment = outcome.service === undefined ? undefined : conformance.services[outcome.service]
  if (wanted.backend !== undefined) expect(deployment).toBe(wanted.backend)
  const { forwarded, redirect, response } = wanted
  if (forwarded !== undefined) {
    const { method, path, host, fields } = outcome.forwarded ?? {}
    if (forwarded.method !== undefined) expect(method).toBe(forwarded.method)
    if (forwarded.path !== undefined) expect(path).toBe(forwarded.path)
    if (forwarded.host !== undefined) expect(host).toBe(forwarded.host)
    expectHeaders(fields, forwarded.headers, forwarded.absentHeaders)
  }
  if (response !== undefined) expectHeaders(outcome.response, response.headers, response.absentHeaders)
  if (wanted.forwardedHeaderNamesBackend !== undefined) {
    const values = outcome.forwarded?.fields.getAll(wanted.forwardedHeaderNamesBackend.toLowerCase()) ?? []
    expect(values).toHaveLength(1)
    expect(deployment?.startsWith(values[0])).toBe(true)
  }
  if (redirect !== undefined) {
    const [, scheme, host, port, path] = /^(\w+):\/\/([^/:]+)(?::(\d+))?(\/.*)$/.exec(outcome.location ?? "") ?? []
    if (redirect.scheme !== undefined) expect(scheme).toBe(redirect.scheme)
    if (redirect.host !== undefined) expect(host).toBe(redirect.host)
    if (redirect.path !== undefined) expect(path).toBe(redirect.path)
    if (redirect.port !== undefined) expect(redirect.port).toContain(port ?? null)
  }
}

const table = loadTable()

describe.each(table.cases)("$name", (conformance) => {
  const config = configOf(conformance)
  const routers = new Map(
    conformance.listeners.map(({ name }) => [
      name,
      new Router(
        config.routes.map((route) => ({ route, target: route })),
        name,
      ),
    ]),
  )
  const judged = conformance.requests.filter((asked) => asked.needsGateway === undefined)
  const rest = conformance.requests.filter((asked) => asked.needsGateway !== undefined)

  if (rest.length > 0) {
    test.each(rest)("$id finds its backend", (asked) => {
      expect(send(conformance, config, routers, asked, 0).status).toBe(200)
    })
  }

  if (judged.length > 0) {
    test.each(judged)("$id: $method $path", (asked) => {
      const count = asked.count ?? 1
      const shares = new Map<string, number>()
      for (let i = 0; i < count; i++) {
        const outcome = send(conformance, config, routers, asked, (i + 0.5) / count)
        expectOutcome(conformance, asked, outcome)
        if (outcome.service !== undefined) shares.set(outcome.service, (shares.get(outcome.service) ?? 0) + 1 / count)
      }
      for (const [service, share] of Object.entries(asked.expect.shares ?? {})) {
        const tolerance = share === 0 ? 0 : (asked.expect.shareTolerance ?? 0)
        expect(Math.abs((shares.get(service) ?? 0) - share), service).toBeLessThanOrEqual(tolerance)
      }
    })
  }
})

test("the table holds the cases it is said to hold", () => {
  expect(table.cases).toHaveLength(42)
  expect(table.cases.reduce((sum, { requests }) => sum + requests.length, 0)).toBe(217)
  expect(table.excluded.every(({ reason }) => reason !== "")).toBe(true)
})
