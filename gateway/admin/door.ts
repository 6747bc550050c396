// The door of the admin API: every request passes it first. It looks at the name it was asked by, at the page it may come from and at
// who asks, answers probes itself, and has the rest answered by the app, which is loaded when somebody first asks for it.

import { describeOrderer, isAllowedHost, isLoopback, isOrder, pageRefusal, USER_FIELD } from "./guard.ts"
import { answerProbe, type ProbesDeps, respond } from "./probes.ts"
import type { Visit } from "./topic.ts"

/** What is known of the other end of a connection. */
export interface Peer {
  /** IP address; "" where there is none. */
  readonly address: string
}

export interface DoorOptions {
  readonly probes: ProbesDeps
  /** Address it will be bound to: decides which `Host` fields it accepts. */
  readonly host: string
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

export class Door {
  readonly #options: DoorOptions
  #app: ReturnType<DoorOptions["load"]> | null = null

  constructor(options: DoorOptions) {
    this.#options = options
  }

  async fetch(request: Request, peer: Peer): Promise<Response> {
    const response = await this.#answer(request, peer)
    for (const [name, value] of HEADERS) if (!response.headers.has(name)) response.headers.set(name, value)
    return response
  }

  async #answer(request: Request, peer: Peer): Promise<Response> {
    const { probes, host } = this.#options
    const { method, headers } = request
    if (!isAllowedHost(headers.get("host"), host)) {
      return respond({ error: "this host name is not served here; use localhost or the address it listens on" }, 421)
    }
    const foreign = pageRefusal(method, headers, "http")
    if (foreign !== null) return respond({ error: foreign }, 403)
    if (isOrder(method) && !isLoopback(host)) {
      return respond({ error: `the admin API takes orders only when it listens on a loopback address; it listens on ${host}` }, 403)
    }
    try {
      if (!isOrder(method)) {
        const probe = await answerProbe(new URL(request.url).pathname, headers.get("accept") ?? "", probes)
        if (probe !== null) return method === "HEAD" ? new Response(null, probe) : probe
      }
      const app = await (this.#app ??= this.#options.load())
      return await app(request, { who: describeOrderer(headers.get(USER_FIELD), "", peer.address) })
    } catch (error) {
      this.#app = null
      return respond({ error: `internal error: ${error instanceof Error ? error.message : String(error)}` }, 500)
    }
  }
}
