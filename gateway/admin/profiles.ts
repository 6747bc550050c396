// Profiles in the admin API: where the time of a thread goes, who allocates, what is in its memory. One at a time, for a bounded time;
// the file is made by the thread itself and passed on piece by piece.

import { createRoute, z } from "@hono/zod-openapi"
import type { ProfileKind } from "../runtime/profile.ts"
import type { Recorder } from "./change-history.ts"
import { type AdminContext, json, note, refusal, type TopicApp, topicApp } from "./topic.ts"

/** What became of a profile. `none`: this runtime can't make it, or another is under way, or the thread didn't. */
export type ProfileOutcome =
  | { readonly kind: "made"; readonly octets: number; readonly body: ReadableStream<Uint8Array> }
  | { readonly kind: "none"; readonly status: 404 | 409 | 501 | 503; readonly why: string }

export interface ProfilesDeps {
  readonly history: Recorder
  /** `worker` null: of the main thread. `signal`: nobody waits for it any more. */
  profile(kind: ProfileKind, worker: number | null, seconds: number, signal: AbortSignal): Promise<ProfileOutcome>
}

const seconds = z.coerce.number({ error: "write a whole number from 1 to 60" }).int().min(1).max(60).default(10)
const worker = z
  .string()
  .regex(/^(?:main|\d{1,3})$/, { error: "write main, or the number of a worker from 0 on" })
  .default("0")
  .describe("main: the thread that serves this API; else the number of a worker")

const answers = {
  200: {
    description: "A file for Chrome's developer tools or VS Code",
    content: { "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) } },
  },
  400: json(refusal, "Something in the request is not as described"),
  404: json(refusal, "There is no such worker"),
  409: json(refusal, "A profile is under way"),
  501: json(refusal, "This runtime can't make it"),
  503: json(refusal, "The thread did not answer"),
}

const cpu = createRoute({
  method: "post",
  path: "/cpu",
  summary: "where a thread's time goes (?seconds=10&worker=0 or main): a .cpuprofile",
  request: { query: z.object({ seconds, worker }) },
  responses: answers,
})
const heap = createRoute({
  method: "post",
  path: "/heap",
  summary:
    "who allocates (?seconds=10&worker=0 or main): a .heapprofile; with ?kind=snapshot all that is in memory, secrets too, while the thread stands still: a .heapsnapshot",
  request: { query: z.object({ seconds, worker, kind: z.enum(["sampling", "snapshot"]).default("sampling") }) },
  responses: answers,
})

const ENDING: Readonly<Record<ProfileKind, string>> = { cpu: "cpuprofile", allocations: "heapprofile", heap: "heapsnapshot" }

export function profiles(deps: ProfilesDeps): TopicApp {
  const app = topicApp()
  const take = async (c: AdminContext, kind: ProfileKind, of: string, length: number) => {
    const what = `${of === "main" ? "main thread" : `worker ${of}`}${kind === "heap" ? "" : `, ${length} s`}`
    const made = await deps.profile(kind, of === "main" ? null : Number(of), length, c.req.raw.signal)
    note(c, deps.history, { kind: `profile ${kind}`, what, refused: made.kind === "none" ? made.why : null })
    if (made.kind === "none") return c.json({ error: made.why }, made.status)
    return c.body(made.body, 200, {
      "content-type": "application/octet-stream",
      "content-length": String(made.octets),
      "content-disposition": `attachment; filename="sluice-${of === "main" ? "main" : `worker-${of}`}.${ENDING[kind]}"`,
    })
  }
  app.openapi(cpu, (c) => {
    const { seconds: length, worker: of } = c.req.valid("query")
    return take(c, "cpu", of, length)
  })
  app.openapi(heap, (c) => {
    const { seconds: length, worker: of, kind } = c.req.valid("query")
    return take(c, kind === "sampling" ? "allocations" : "heap", of, length)
  })
  return app
}
