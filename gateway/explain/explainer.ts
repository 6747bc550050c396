// Answers what the gateway would do with a request, and why: follows it through the steps of an exchange (proxy/exchange.ts) with the
// data plane's own parts, up to where it would be sent. It sends nothing.

import { tcpPart } from "../config/listener-parts.ts"
import type { RouteConfig } from "../config/model.ts"
import { hostOf } from "../http/authority.ts"
import type { LimitsMemory } from "../upstream/limits-memory.ts"
import { carriedVerdict } from "./carried.ts"
import type { ExplainRequest, Explanation, ListenerChoice, Outcome, Verdict } from "./explanation.ts"
import { carriesAsIs, chooseListeners } from "./listeners.ts"
import { explainOutcome } from "./outcome.ts"
import { type ExplainedPlane, ExplainedPlanes, type ExplainedSpec } from "./planes.ts"
import { type UrlParts, urlParts } from "./request-octets.ts"
import type { FilterCondition } from "./steps.ts"

export interface ExplainerMeans {
  /** What is in force; null: nothing is yet. */
  spec(): ExplainedSpec | null
  /** Null: what is under way isn't known. */
  readonly memory: LimitsMemory | null
  /** How filters are; empty: that isn't known. */
  filters(): readonly FilterCondition[]
  /** An operator has taken an endpoint out of traffic; absent: none has. */
  isDrained?(service: string, address: string): boolean
  /** From 0 to 3. */
  overloadLevel(): number
  /** Whether the value of a header, cookie or parameter of that name is not to be shown. */
  isSecret(name: string): boolean
}

export class Explainer {
  readonly #means: ExplainerMeans
  #planes: ExplainedPlanes | null = null

  constructor(means: ExplainerMeans) {
    this.#means = means
  }

  /** What is in force as it is explained; null: nothing is. Made anew with each snapshot. */
  get planes(): ExplainedPlanes | null {
    const spec = this.#means.spec()
    if (spec === null) return null
    if (this.#planes?.spec !== spec) this.#planes = new ExplainedPlanes(spec, this.#means.memory, this.#means.isDrained ?? (() => false))
    this.#planes.refresh()
    return this.#planes
  }

  /** A text: why it can't be said. */
  explain(request: ExplainRequest): Explanation | string {
    const { planes } = this
    if (planes === null) return "no configuration is in force yet"
    const { config, ports, generation } = planes.spec
    const url = urlParts(request.url)
    if (url === null) return `${JSON.stringify(request.url.slice(0, 200))} is neither an http or https URL nor a path`
    if (request.listener !== undefined && !config.listeners.some(({ name }) => name === request.listener)) {
      return `there is no listener ${JSON.stringify(request.listener)}; there are ${config.listeners.map(({ name }) => name).join(", ")}`
    }
    const listeners = chooseListeners(config.listeners, ports, url, request.listener)
    const filters = new Map(this.#means.filters().map((each) => [each.name, each]))
    const outcomes: Outcome[] = []
    for (const [i, { chosen }] of listeners.entries()) {
      const plane = chosen && !carriesAsIs(config.listeners[i], url) ? planes.plane(config.listeners[i]) : null
      if (plane === null) continue
      const elsewhere = config.routes.filter((route) => route.listeners.length > 0 && !route.listeners.includes(plane.listener.name))
      outcomes.push(this.#outcome(planes, plane, request, url, filters, elsewhere))
    }
    const verdict = outcomes[0]?.verdict ?? this.#carried(planes, listeners, request, url) ?? unreachable(listeners)
    return { generation, method: request.method, url: request.url, verdict, listeners, outcomes }
  }

  /** Null: it comes by no listener that carries connections. */
  #carried(
    { spec: { config } }: ExplainedPlanes,
    listeners: readonly ListenerChoice[],
    request: ExplainRequest,
    url: UrlParts,
  ): Verdict | null {
    const listener = config.listeners.find((each, i) => listeners[i].chosen && carriesAsIs(each, url))
    const connections = listener === undefined ? null : tcpPart(listener)
    if (connections === null) return null
    const secure = url.scheme === "https" || request.serverName !== undefined
    return carriedVerdict(connections, config.services, secure, secure ? (request.serverName ?? serverNameOf(url.authority)) : "")
  }

  #outcome(
    planes: ExplainedPlanes,
    plane: ExplainedPlane,
    request: ExplainRequest,
    url: UrlParts,
    filters: ReadonlyMap<string, FilterCondition>,
    elsewhere: readonly RouteConfig[],
  ): Outcome {
    const { host } = plane.listener.address
    const reached = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host
    const authority = url.authority || `${reached}:${plane.port}`
    return explainOutcome({
      planes,
      plane,
      request,
      url,
      authority,
      serverName: request.serverName ?? serverNameOf(authority),
      filters,
      elsewhere,
      memory: this.#means.memory,
      overloadLevel: this.#means.overloadLevel(),
      isSecret: (name) => this.#means.isSecret(name),
    })
  }
}

// Clients ask for names, not for addresses (RFC 6066 §3).
function serverNameOf(authority: string): string {
  const host = hostOf(authority) ?? ""
  return /^(?:\[|[\d.]+$)/.test(host) ? "" : host
}

function unreachable(listeners: readonly ListenerChoice[]): Verdict {
  const why = listeners.map(({ name, why }) => `${name}: ${why}`).join("; ")
  return { ok: false, status: null, grpcStatus: null, code: "", flag: "", text: `would reach no listener (${why})` }
}
