// Follows one request at one listener: each step is a function of the data plane, and what it says is written down. The order is
// that of proxy/exchange.ts.

import type { RouteConfig } from "../config/model.ts"
import { type ErrorCode, errors } from "../errors.ts"
import { isMisdirected } from "../http/connection-security.ts"
import type { RequestHead } from "../http/message.ts"
import { normalizePath, pathRefusal } from "../http/path.ts"
import { parseRequestTimeout, REQUEST_TIMEOUT } from "../http/request-timeout.ts"
import { clientAddress, ForwardedFields } from "../proxy/forwarded.ts"
import { GrpcCall } from "../proxy/grpc-call.ts"
import { callOfWeb } from "../proxy/grpc-web-stream.ts"
import { isShed, type Priority } from "../resilience/overload.ts"
import type { LimitsMemory } from "../upstream/limits-memory.ts"
import type { ExplainRequest, Outcome, RouteMiss, SettingsExplanation, Verdict } from "./explanation.ts"
import { explainForward, type Forward } from "./forward.ts"
import { matchText, percent } from "./miss-text.ts"
import { pathChanges } from "./path-changes.ts"
import { type ExplainedPlane, type ExplainedPlanes, securityOf } from "./planes.ts"
import { requestHead, type UrlParts } from "./request-octets.ts"
import { chooseRoute, type RouteChoice } from "./route-choice.ts"
import { blockingFilter, type FilterCondition, stepsOf } from "./steps.ts"

/** What is asked, and what is known. */
export interface OutcomeMeans {
  readonly planes: ExplainedPlanes
  readonly plane: ExplainedPlane
  readonly request: ExplainRequest
  readonly url: UrlParts
  /** For requests that have none of their own. */
  readonly authority: string
  readonly serverName: string
  readonly filters: ReadonlyMap<string, FilterCondition>
  /** Routes that don't serve this listener. */
  readonly elsewhere: readonly RouteConfig[]
  readonly memory: LimitsMemory | null
  readonly overloadLevel: number
  isSecret(name: string): boolean
}

/** Client of a request that doesn't say where it comes from. */
const LOCAL = "127.0.0.1"
const OTHERS = 10
const MOST_OTHERS = 100
/** Instead of random digits: ids are made anew for every request. */
const NO_DIGITS = (octets: number): string => "0".repeat(octets * 2)

type Known = { -readonly [Part in keyof Outcome]: Outcome[Part] }

export function explainOutcome(means: OutcomeMeans): Outcome {
  const { plane, request, url, authority } = means
  const known = empty(plane.listener.name)
  const head = requestHead(request, url, authority, plane.http.limits)
  if (typeof head === "string") return refused(known, head, refusalText(head, request))
  // A listener that tells protocols apart takes requests without TLS too.
  const plain = plane.listener.tls === null || (plane.listener.protocol === "auto" && url.scheme === "http")
  head.scheme = plain ? "http" : "https"
  known.host = head.host
  const { body } = plane.http.limits
  if (body > 0 && head.contentLength > body)
    return refused(known, "bodyTooLarge", `its content-length is above the listener's limits.body, ${body} octets`)
  const grpc = head.method === "POST" ? GrpcCall.of(head) : null
  const call = grpc !== null
  const { target } = head
  const mark = target.indexOf("?")
  const asked = mark === -1 ? target : target.slice(0, mark)
  const path = normalizePath(asked, plane.http.path)
  known.path = { asked, normal: path, changes: path === null ? [] : pathChanges(asked, path), why: pathRefusal(asked, plane.http.path) }
  if (path === null) return refused(known, "badRequest", `its path is refused: ${known.path.why}`, call)
  head.path = path
  head.query = mark === -1 ? undefined : target.slice(mark + 1)
  const security = plain ? null : securityOf(plane, means.serverName, request.identity ?? "")
  const peer = request.source ?? LOCAL
  const memo = { authority: "", text: "" }
  new ForwardedFields(NO_DIGITS).complete(head, { sourceAddress: peer, security, memo }, plane.http.trustedHops)
  if (security !== null && isMisdirected(security, head.host)) {
    return refused(known, "misdirected", `the certificate for ${security.serverName} isn't for host ${head.host}`, call)
  }
  const choice = chooseRoute(
    plane,
    { host: head.host, path, query: head.query, method: head.method, fields: head.fields },
    means.elsewhere,
    Math.min(MOST_OTHERS, Math.max(0, request.others ?? OTHERS)),
    (name) => means.isSecret(name),
  )
  known.odds = choice.odds
  known.others = choice.others
  known.othersLeft = choice.left
  if (choice.match === null || choice.judged === null) return refused(known, "noRoute", `no route matches${closest(choice.closest)}`, call)
  const match = matchText(choice.judged, (name) => means.isSecret(name))
  known.route = { name: choice.match.route.name, match, text: taking(choice) }
  return routed(known, means, head, choice, grpc, clientAddress(head, peer, plane.http.trustedHops))
}

// From where the route is known.
function routed(known: Known, means: OutcomeMeans, head: RequestHead, choice: RouteChoice, grpc: GrpcCall | null, source: string): Outcome {
  const { planes, plane, filters } = means
  const { route: config, target: route } = choice.match as NonNullable<RouteChoice["match"]>
  const named = `route \`${config.name}\``
  if (route.grpcWeb && head.method === "POST" && callOfWeb(head) !== null) grpc = GrpcCall.of(head)
  const call = grpc !== null
  const shed = shedShare(means.overloadLevel, route.priority)
  const wait = head.saysForwarded ? head.fields.getCombined(REQUEST_TIMEOUT, ",") : undefined
  const asked = wait === undefined ? null : parseRequestTimeout(wait)
  const settings = settingsOf(config, head, grpc, asked, shed)
  known.settings = settings
  known.filters = stepsOf(plane.http, config, filters)
  if (head.method === "TRACE" && !route.allowsTrace) return refused(known, "methodNotAllowed", `no match of ${named} names TRACE`)
  if (shed >= 1) return refused(known, "overloaded", `the gateway has too much to do for ${config.priority} priority`, call)
  if (shed > 0) known.notes = [...known.notes, `${percent(shed)} of such requests are refused now (503 OL): the gateway has too much to do`]
  if (grpc !== null && grpc.timeout <= 0) {
    return grpc.timeout === 0
      ? refused(known, "responseTimeout", "its grpc-timeout is 0", call)
      : refused(known, "badRequest", "its grpc-timeout is malformed", call)
  }
  if (asked === 0) return refused(known, "responseTimeout", `its ${REQUEST_TIMEOUT} is 0`, call)
  if (asked !== null && asked < 0) return refused(known, "badRequest", `its ${REQUEST_TIMEOUT} is malformed`, call)
  const blocking = blockingFilter(config, filters)
  if (blocking !== null)
    return refused(known, "filterUnavailable", `filter ${blocking} of ${named} can't run (${filters.get(blocking)?.state})`, call)
  const forward: Forward = explainForward({
    planes,
    port: plane.port,
    match: choice.match as NonNullable<RouteChoice["match"]>,
    head,
    source,
    secure: head.scheme === "https",
    left: [
      ...(call && settings.timeout.request > 0 ? ["grpc-timeout"] : []),
      ...(settings.timeout.request > 0 && (asked !== null || route.propagatesTimeout) ? [REQUEST_TIMEOUT] : []),
    ],
    memory: means.memory,
    isSecret: (name) => means.isSecret(name),
  })
  known.action = forward.action
  known.service = forward.service
  known.sent = forward.sent
  known.filters = [...known.filters, ...forward.limits]
  known.notes = [...known.notes, ...forward.notes]
  if (forward.code !== "") return refused(known, forward.code, forward.text, call)
  const may = known.filters.filter(({ kind }) => kind !== "rate limit").map(({ name }) => name)
  const unless = may.length === 0 ? "" : `, unless ${may.join(", ")} ${may.length === 1 ? "answers" : "answer"} first`
  known.verdict = { ok: true, status: forward.status, grpcStatus: null, code: "", flag: "", text: `${forward.text}${unless}` }
  return known
}

function empty(listener: string): Known {
  const verdict: Verdict = { ok: false, status: null, grpcStatus: null, code: "", flag: "", text: "" }
  const nothing = { path: null, route: null, settings: null, action: null, service: null, sent: null }
  return { listener, verdict, host: "", ...nothing, odds: [], others: [], othersLeft: 0, filters: [], notes: [] }
}

/** `call`: by whoever asks for it in gRPC, where a refusal is HTTP's 200 with a status of gRPC. */
function refused(known: Known, code: ErrorCode, why: string, call = false): Outcome {
  const { status, grpcStatus, flag } = errors[code]
  const answered = call ? `grpc-status ${grpcStatus}` : status
  const text = `would be answered ${answered} ${flag}: ${why}`
  known.verdict = { ok: false, status: call ? 200 : status, grpcStatus: call ? grpcStatus : null, code, flag, text }
  return known
}

// The parser says which row it is; these are what leads to it.
function refusalText(code: ErrorCode, { method, headers = [] }: ExplainRequest): string {
  if (code === "uriTooLong") return "its request line is longer than the listener's limits.requestLine"
  if (code === "headTooLarge") return "its head is longer, or has more fields, than the listener's limits.head and limits.fields"
  if (code === "methodNotAllowed") return `method ${method} would open a tunnel`
  if (code === "codingNotImplemented") return "its transfer-encoding is not chunked"
  if (code === "expectationFailed") return "it expects something other than 100-continue"
  const names = headers.map(([name]) => name.toLowerCase())
  const twice = ["host", "content-length", "transfer-encoding"].find((name) => names.filter((each) => each === name).length > 1)
  if (twice !== undefined) return `it has more than one ${twice}`
  if (names.includes("content-length") && names.includes("transfer-encoding")) return "it has both content-length and transfer-encoding"
  return "it is no valid request of HTTP/1.1: its method, target or host, or the name or value of a header, breaks the grammar"
}

function closest(nearest: RouteMiss | null): string {
  if (nearest === null) return ": there are no routes"
  const { route, reason, text, match, failures } = nearest
  const path = /(?:^|, )path ([^,]*)/.exec(match)?.[1] ?? ""
  const fits = failures === 1 && reason !== "path" && reason !== "listener" ? `path ${path} matches but ` : ""
  return `: closest is route \`${route}\`: ${fits}${text}`
}

function taking({ match, odds }: RouteChoice): string {
  const name = match?.route.name
  const own = odds.find(({ route }) => route === name)
  return own === undefined ? "takes every such request" : `takes ${percent(own.odds)} of such requests`
}

// By the function that refuses, asked for every part of a hundred.
function shedShare(level: number, priority: Priority): number {
  let refused = 0
  for (let i = 0; i < 100; i++) if (level > priority && isShed(level, priority, i / 100)) refused++
  return refused / 100
}

/** `asked`: ms that a proxy in front gives it; null: it doesn't say. */
function settingsOf(
  config: RouteConfig,
  head: RequestHead,
  grpc: GrpcCall | null,
  asked: number | null,
  shed: number,
): SettingsExplanation {
  const { timeout, retry, hedge, priority, mirrors = [] } = config
  const limit = asked !== null && asked > 0 ? asked : grpc === null ? timeout.request : timeout.grpc
  const ends = grpc === null ? limit : grpc.endsAt(0, limit)
  return {
    timeout: { request: Number.isFinite(ends) ? Math.max(0, ends) : 0, perTry: timeout.perTry, idle: timeout.idle },
    retry: retry === null ? null : { attempts: retry.attempts, on: retry.on },
    hedge,
    priority,
    shed,
    mirrors,
    grpc: grpc !== null,
    upgrade: head.upgrade,
  }
}
