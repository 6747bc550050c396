// The door of the admin API: every request passes it first. It looks at the name it was asked by, at the page it may come from and at
// who asks, answers probes itself, and has the rest answered by the app, which is loaded when somebody first asks for it.

import type { FetchPeer } from "../runtime/serve.ts"
import type { Access } from "./access.ts"
import type { Recorder } from "./change-history.ts"
import { Dashboard } from "./dashboard.ts"
import { describeOrderer, isAllowedHost, isOrder, isPublic, pageRefusal, printable, USER_FIELD } from "./guard.ts"
import { answerProbe, type ProbesDeps, respond } from "./probes.ts"
import type { Visit } from "./topic.ts"

export interface DoorOptions {
  readonly probes: ProbesDeps
  readonly access: Access
  readonly scheme: "http" | "https"
  /** `/metrics` is for everybody. */
  readonly openMetrics: boolean
  /** Is told of orders that were turned away: by the door, or by what is behind it before it knew what was asked for. */
  readonly history: Recorder
  /** Loads what is behind the door. Called once, or again after it failed. */
  load(): Promise<(request: Request, visit: Visit) => Response | Promise<Response>>
}

// No page may frame, sniff, cache or run anything of this; what says otherwise of itself (the dashboard) keeps what it says.
const HEADERS: readonly (readonly [string, string])[] = [
  ["cache-control", "no-store"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["cross-origin-resource-policy", "same-origin"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
]

/** Asked by POST, since it may be long; it changes nothing. */
const QUESTION = "/explain"

export class Door {
  readonly #options: DoorOptions
  readonly #dashboard = new Dashboard()
  #app: ReturnType<DoorOptions["load"]> | null = null

  constructor(options: DoorOptions) {
    this.#options = options
  }

  async fetch(request: Request, peer: FetchPeer): Promise<Response> {
    const { method, headers } = request
    const claimed = headers.get(USER_FIELD)
    const path = URL.parse(request.url)?.pathname ?? "/"
    const visit = { who: describeOrderer(claimed, "", peer.address), noted: false }
    let response = await this.#answer(request, path, peer, (proven) => {
      visit.who = describeOrderer(claimed, proven, peer.address)
      return visit
    })
    if (response.status >= 400 && !visit.noted && isOrder(method) && path !== QUESTION)
      response = await this.#note(response, visit.who, `${method} ${path}`)
    for (const [name, value] of HEADERS) if (!response.headers.has(name)) response.headers.set(name, value)
    return response
  }

  async #answer(request: Request, path: string, peer: FetchPeer, enter: (proven: string) => Visit): Promise<Response> {
    const { access, scheme, openMetrics } = this.#options
    const { method, headers } = request
    if (!isAllowedHost(headers.get("host"), access.host)) {
      return respond({ error: "this host name is not served here; use localhost or the address it listens on" }, 421)
    }
    const foreign = pageRefusal(method, headers, scheme)
    if (foreign !== null) return respond({ error: foreign }, 403)
    const admission = access.admit(headers, peer)
    if (admission.kind === "out" && !isPublic(method, path, openMetrics)) {
      const response = respond({ error: admission.why }, admission.status)
      if (admission.status === 401) response.headers.set("www-authenticate", 'Bearer realm="sluice"')
      else response.headers.set("retry-after", String(admission.again))
      return response
    }
    try {
      if (!isOrder(method)) {
        const probe =
          (await answerProbe(path, headers.get("accept") ?? "", this.#options.probes, admission.kind === "in")) ??
          (await this.#dashboard.answer(path, headers.get("if-none-match")))
        if (probe !== null) return method === "HEAD" ? new Response(null, probe) : probe
      }
      // What is for everybody has been answered.
      if (admission.kind === "out") return respond({ error: "no such page" }, 404)
      const app = await (this.#app ??= this.#options.load())
      return await app(request, enter(admission.proven))
    } catch (error) {
      this.#app = null
      return respond({ error: `internal error: ${error instanceof Error ? error.message : String(error)}` }, 500)
    }
  }

  // What it is refused with says why; it is made here, and small.
  async #note(response: Response, who: string, what: string): Promise<Response> {
    const text = await response.text()
    let why = ""
    try {
      why = String((JSON.parse(text) as { error?: unknown }).error ?? "")
    } catch {
      // It has nothing to say.
    }
    this.#options.history.record({
      who,
      kind: "order",
      what: printable(what),
      refused: `${response.status} ${why}`.trimEnd(),
      turnedAway: true,
    })
    const { status, headers } = response
    return new Response(text, { status, headers })
  }
}
