// What a route does with the request it has taken: the answer it gives itself, or the backend, its endpoints and what they would be
// sent.

import type { BackendConfig, HeaderEdits, RouteConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { RequestHead } from "../http/message.ts"
import { editRequest } from "../proxy/request-edits.ts"
import type { Route } from "../proxy/route.ts"
import type { Match } from "../router/conditions.ts"
import { redirectLocation } from "../router/rewrite.ts"
import type { LimitsMemory } from "../upstream/limits-memory.ts"
import type { Service } from "../upstream/services.ts"
import type { ActionExplanation, BackendOdds, FilterStep, HeaderEditsShown, SentRequest, ServiceExplanation } from "./explanation.ts"
import type { ExplainedPlanes } from "./planes.ts"
import { explainService, subsetText } from "./services.ts"
import { limitStep } from "./steps.ts"

export interface ForwardMeans {
  readonly planes: ExplainedPlanes
  /** The listener's. */
  readonly port: number
  readonly match: Match<Route>
  /** Edited by this as it would be on its way. */
  readonly head: RequestHead
  readonly source: string
  readonly secure: boolean
  /** Fields in which its service is told how long an answer is wanted. */
  readonly left: readonly string[]
  readonly memory: LimitsMemory | null
  isSecret(name: string): boolean
}

export interface Forward {
  readonly action: ActionExplanation
  readonly service: ServiceExplanation | null
  readonly sent: SentRequest | null
  /** Limits of the service. */
  readonly limits: readonly FilterStep[]
  readonly notes: readonly string[]
  /** Why it fails; "" = it doesn't, as far as can be seen. */
  readonly code: ErrorCode | ""
  /** Null: what the service answers. */
  readonly status: number | null
  readonly text: string
}

/** Ids made of {@link NO_DIGITS}. */
const MADE = /^(?:00-)?0{32}(?:-0{16}-00)?$/

/** Stands for a time that runs. */
const LEFT = "(what is left)"

const NOTHING = { service: null, sent: null, limits: [], notes: [], code: "" } as const

export function explainForward(means: ForwardMeans): Forward {
  const { match, head, port } = means
  const { target: route, route: config, matchedPrefix } = match
  const named = `route \`${config.name}\``
  if (route.redirect !== null) {
    const { status } = route.redirect
    const location = redirectLocation(route.redirect, matchedPrefix, head.path, head.query, head.authority, head.scheme, port)
    const text = `would be redirected by ${named}: ${status} to ${location}`
    return { ...NOTHING, action: { kind: "redirect", status, location }, status, text }
  }
  if (route.direct !== null) {
    const { status, body } = route.direct
    const text = `would be answered by ${named}: ${status}, ${body.length} octets`
    return { ...NOTHING, action: { kind: "respond", status, bodyOctets: body.length }, status, text }
  }
  const backends = config.action.kind === "forward" ? config.action.backends : []
  const kept = route.sticky?.pick(head, means.source, route.weights) ?? -1
  const chosen = kept >= 0 ? kept : heaviest(route.weights)
  const action: ActionExplanation = {
    kind: "forward",
    backends: oddsOf(route, backends, chosen, kept >= 0),
    why: chosen < 0 ? "" : whyChosen(config, backends, kept >= 0),
  }
  if (chosen < 0) {
    const why = backends.length === 0 ? "has no backends" : "has only backends of weight 0"
    return { ...NOTHING, action, code: "noService", status: 500, text: `${named} ${why}` }
  }
  const { service: name, subset } = backends[chosen]
  const { service } = route.backends[chosen]
  if (service === null)
    return { ...NOTHING, action, code: "noService", status: 500, text: `${named} names service ${name}, ${absence(means, name)}` }
  return sending(means, action, chosen, service, subset)
}

function sending(
  means: ForwardMeans,
  action: ActionExplanation,
  chosen: number,
  service: Service,
  subset: BackendConfig["subset"],
): Forward {
  const { planes, match, head, source, memory } = means
  const { target: route, route: config, matchedPrefix } = match
  const backend = route.backends[chosen]
  const authority = editRequest(head, route, backend, matchedPrefix)
  for (const name of means.left) head.fields.set(name, LEFT)
  const explained = explainService(planes, service, subset, head, { sourceAddress: source }, memory)
  const { protocol, tls, rateLimits = [], discovery } = planes.spec.config.services[service.name]
  const backendConfig = config.action.kind === "forward" ? config.action.backends[chosen] : undefined
  const edits = (part: "request" | "response"): HeaderEditsShown[] =>
    [config.headers[part], backendConfig?.headers[part]]
      .filter((each) => each !== undefined && each.remove.length + each.set.length + each.add.length > 0)
      .map((each) => shownEdits(each as HeaderEdits, means.isSecret))
  const path = head.query === undefined ? head.path : `${head.path}?${head.query}`
  const sent: SentRequest = {
    method: head.method,
    authority,
    path,
    protocol,
    tls: tls !== null,
    headers: pairs(head).map(([key, value]) => [key, means.isSecret(key) ? "[redacted]" : MADE.test(value) ? "(made anew)" : value]),
    edits: { request: edits("request"), response: edits("response") },
  }
  const limits = rateLimits.map(limitStep)
  const parts = {
    action,
    service: explained,
    sent,
    limits,
    notes: notesOf(explained, discovery !== undefined && planes.spec.records === null),
  }
  const what = `service ${service.name}${subset === undefined ? "" : ` (${subsetText(subset)})`}`
  const { requests, maxRequests } = explained.underWay
  const taking = explained.endpoints.filter(({ weight, reasons }) => weight > 0 && !reasons.some((each) => each.startsWith("not of")))
  // Of a file nobody has looked any up.
  const unknown = discovery !== undefined && planes.spec.records === null
  if (taking.length === 0 && explained.left === 0 && !unknown) {
    const none = explained.endpoints.length === 0 ? "has no endpoints" : "has no endpoint that takes traffic"
    return { ...parts, code: "noEndpoint", status: 503, text: `${what} ${none}` }
  }
  if (requests >= maxRequests) {
    return {
      ...parts,
      code: "overflow",
      status: 503,
      text: `${what} has ${requests} requests under way, as many as circuitBreaker.maxRequests`,
    }
  }
  if (taking.length > 0 && taking.every(({ reasons }) => reasons.some((each) => each.startsWith("full"))) && explained.left === 0) {
    return { ...parts, code: "overflow", status: 503, text: `all endpoints of ${what} are full` }
  }
  const line = `${sent.method} ${tls === null ? "http" : "https"}://${authority || "ENDPOINT"}${sent.path}`
  const takers = explained.endpoints.filter(({ share }) => share !== null && share > 0).length + explained.left
  const where = unknown
    ? "one of the endpoints that are discovered"
    : explained.order.length > 0
      ? `endpoint ${explained.order[0]}`
      : `one of ${takers} endpoint${takers === 1 ? "" : "s"}`
  return { ...parts, code: "", status: null, text: `would be sent by route \`${config.name}\` to ${what}, ${where}, as ${line}` }
}

function heaviest(weights: readonly number[]): number {
  let best = -1
  for (const [i, weight] of weights.entries()) if (weight > 0 && (best < 0 || weight > weights[best])) best = i
  return best
}

function oddsOf(route: Route, backends: readonly BackendConfig[], chosen: number, kept: boolean): BackendOdds[] {
  const total = route.weights.reduce((sum, weight) => sum + weight, 0)
  return backends.map(({ service, subset = null }, i) => ({
    service,
    subset,
    weight: route.weights[i],
    odds: kept ? Number(i === chosen) : total === 0 ? 0 : route.weights[i] / total,
    exists: route.backends[i].service !== null,
    chosen: i === chosen,
  }))
}

function whyChosen(config: RouteConfig, backends: readonly BackendConfig[], kept: boolean): string {
  const { sticky } = config
  if (kept && sticky !== undefined)
    return `the client stays with it by its ${sticky.kind === "cookie" ? `cookie ${sticky.cookie}` : `${sticky.kind} ${sticky.name}`.trim()}`
  if (backends.length === 1) return "it is the only one"
  return `drawn by weight${config.canary === undefined ? "" : ", as the canary has them now"}; this one is the likeliest`
}

function absence({ planes }: ForwardMeans, name: string): string {
  return Object.hasOwn(planes.spec.config.services, name) ? "which has proxyProtocol and so can't carry requests" : "which doesn't exist"
}

function notesOf({ endpoints, left, name }: ServiceExplanation, unknown: boolean): string[] {
  if (unknown) return [`the endpoints of service ${name} are discovered by the gateway that runs this: here they aren't known`]
  if (left > 0 || endpoints.some(({ eligible }) => eligible)) return []
  return [`no endpoint of service ${name} should be used as things are: one that has to do would be`]
}

function shownEdits({ remove, set, add }: HeaderEdits, secret: (name: string) => boolean): HeaderEditsShown {
  const hide = (list: HeaderEdits["set"]): [string, string][] => list.map(([name, value]) => [name, secret(name) ? "[redacted]" : value])
  return { remove, set: hide(set), add: hide(add) }
}

function pairs(head: RequestHead): [string, string][] {
  const list: [string, string][] = []
  head.fields.forEach((name, value) => {
    list.push([name, value])
  })
  if (head.expectContinue) list.push(["expect", "100-continue"])
  if (head.acceptsTrailers && head.upgrade === "") list.push(["te", "trailers"])
  return list
}
