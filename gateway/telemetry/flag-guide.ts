// What every way to fail means to whoever runs the gateway: likely causes, where to look, what to do. One table, which the compiler
// wants a row of for every row of errors.ts; the admin API, the command line and the documents tell it.

import { type ErrorCode, type ErrorSource, errors } from "../errors.ts"

export interface Guide {
  /** What has happened, a sentence without its full stop. */
  readonly meaning: string
  /** The likeliest first. */
  readonly causes: readonly string[]
  readonly look: string
  readonly act: string
}

/** A {@link Guide} with what errors.ts says of the same. */
export interface FlagRow extends Guide {
  readonly flag: string
  /** Row of errors.ts; "" = what the gateway does as it is told. */
  readonly code: ErrorCode | ""
  /** Whose doing it is; "" = nobody's fault. */
  readonly source: ErrorSource | ""
  /** 0 = no answer is possible, or it is one of a filter's choice. */
  readonly status: number
  readonly retryable: string
  /** Text of the reply; "" = there is none. */
  readonly text: string
}

function guide(meaning: string, causes: readonly string[], look: string, act: string): Guide {
  return { meaning, causes, look, act }
}

const CLIENT = "`source` and `userAgent` in the access log: one client or all of them?"
const EXPLAIN = "`sluice explain METHOD URL`"

const flagGuides: Readonly<Record<ErrorCode, Guide>> = {
  badRequest: guide(
    "the request breaks the grammar of HTTP, or two parsers could read it differently",
    ["a client that writes HTTP by hand", "an attack (smuggling, `..` in paths)", "a path the listener's `path` refuses"],
    `${EXPLAIN}: it reads the request as the gateway does; ${CLIENT}`,
    "repair the client; loosen the listener's `path` only for services that agree on spellings",
  ),
  uriTooLong: guide(
    "the request line is longer than `limits.requestLine`",
    ["state or filters in a query", "a redirect that appends to itself"],
    CLIENT,
    "send it in a body; raise the listener's `limits.requestLine`",
  ),
  headTooLarge: guide(
    "the head is larger than `limits.head`, or has more fields than `limits.fields`",
    ["cookies that have piled up", "large tokens", "proxies in a circle"],
    CLIENT,
    "clear the cookies; raise the listener's `limits.head` or `limits.fields`",
  ),
  requestTimeout: guide(
    "the request's head or body took too long to arrive",
    ["a slow or broken network", "a client that stalls", "an attack by slowness"],
    CLIENT,
    "raise the listener's `timeouts.head`, or the route's `timeout.request` for large uploads",
  ),
  bodyTooLarge: guide(
    "the body is larger than may be: `limits.body` of the listener, or of a filter that keeps bodies (`kept by a filter`)",
    ["an upload on a route not meant for one"],
    "`flagDetails`, `requestBytes` in the access log",
    "raise the limit it names, or take the filter off that route",
  ),
  expectationFailed: guide(
    "the request expects something other than `100-continue`",
    ["a client with a wrong `expect` field"],
    CLIENT,
    "repair the client",
  ),
  methodNotAllowed: guide(
    "CONNECT, or TRACE on a route no match of which names it",
    ["a scanner", "a client that takes the gateway for a forward proxy"],
    CLIENT,
    "name TRACE in the route's `match.method` if it is meant; CONNECT is not served",
  ),
  codingNotImplemented: guide(
    "the request's body has a transfer coding other than `chunked`",
    ["a client that compresses on the wire"],
    CLIENT,
    "repair the client: `content-encoding` is what it means",
  ),
  versionNotSupported: guide(
    "a version of HTTP that isn't served, or HTTP/2 where it isn't spoken",
    ["a scanner", "TLS or another protocol at a plain port"],
    CLIENT,
    "look at the client's URL: its scheme and port",
  ),
  proxyHeader: guide(
    "a connection from an address in `proxyProtocol.trusted` began without a valid PROXY header",
    ["the load balancer in front doesn't send one", "a health check of its own"],
    "`source` in the access log",
    "turn the PROXY protocol on in front, or take the address out of `trusted`",
  ),
  clientHello: guide(
    "a connection of a `tls` listener began without a ClientHello",
    ["a client that speaks plain text"],
    CLIENT,
    "repair the client, or use `protocol: auto`",
  ),
  openingTimeout: guide(
    "a connection took too long to begin: its PROXY header, or its ClientHello",
    ["port scans and health checks that only connect", "a client in whose protocol the server speaks first"],
    CLIENT,
    "`timeouts.detect`, `proxyProtocol.timeout`; `protocol: tcp` where the server speaks first",
  ),
  misdirected: guide(
    "a request for another host than the one its connection's certificate is for",
    ["a client that reuses a connection for several names"],
    `${EXPLAIN} --listener …; \`authority\` in the access log`,
    "nothing: clients try again on another connection. Or a certificate with all of the names",
  ),
  clientGone: guide(
    "the client closed its connection, or reset its stream, before it had its answer",
    ["people who leave a page", "a client's time limit that is shorter than the answer takes", "a load balancer in front that gives up"],
    "`durationMs` in the access log: the same number over and over is somebody's time limit",
    "find out why it takes long; agree on time limits from the outside to the inside",
  ),
  noRoute: guide(
    "no route matches the request",
    ["a host, path or method that no `match` has", "a condition on a header or query parameter", "the route serves another listener"],
    `${EXPLAIN}: the closest route, and what of it doesn't fit; \`sluice routes\``,
    "correct the route's `hosts` or `match`; a last route with `path: /` for everything else",
  ),
  noService: guide(
    "the route has no backend for the request",
    ["it names a service that isn't there", "all weights are 0"],
    `${EXPLAIN}; \`sluice check\` warns of it`,
    "correct `backends`",
  ),
  noEndpoint: guide(
    "the service has no endpoint that takes traffic",
    ["discovery has found none", "all have weight 0 or are drained", "a subset that none has the labels of"],
    "`/ready`, `sluice services`, `sluice_discovery_endpoints`",
    "bring endpoints up; `failover` for a service that stands in",
  ),
  rateLimited: guide(
    "the rate limit in `flagDetails` is used up",
    ["a client that asks too often", "a limit that is too low, or counts by something all clients share"],
    "`sluice_rate_limit_total` by `limit`",
    "its `requests`, `burst` and `by`; `shadow: true` while you try",
  ),
  rateLimitUnavailable: guide(
    "a limit shared by several gateways could not be asked about, and says `deny`",
    ["Redis or the rate-limit service is down or slow"],
    "`sluice_rate_limit_store_up`, `sluice_rate_limit_store_errors_total`",
    "repair it; `onFailure: local` or `allow`",
  ),
  overflow: guide(
    "a limit of the service is reached; `flagDetails` says which",
    ["the service has become slow, so that requests pile up", "streams and WebSockets, which stay", "a limit for another load"],
    "`sluice_upstream_limited_total`, `sluice_upstream_limit_used` by `limit`",
    "find out why it is slow; `timeout.perTry`; more endpoints; a larger `circuitBreaker`",
  ),
  queueTimeout: guide(
    "the request waited longer than `queueTimeout` for a connection, and none was being made",
    ["`maxConnections` of the service or pool are all in use"],
    '`sluice_upstream_limited_total{limit="connections"}`',
    "a larger `circuitBreaker.maxConnections` or `pool.maxConnections`; HTTP/2 to the service",
  ),
  overloaded: guide(
    "the gateway itself has too much to do",
    ["more traffic than its workers can carry", "filters with heavy work", "memory near its limit"],
    "`sluice_overload_level`, `sluice_event_loop_lag_seconds`, `sluice top`",
    "more workers or gateways; `priority` of routes decides who is refused first",
  ),
  connectFailure: guide(
    "no connection could be made to any endpoint that was tried",
    ["the service isn't running, or not at that address", "a firewall", "its certificate isn't what `tls` expects (`flagDetails`)"],
    "`upstream` and `flagDetails` in the access log; `sluice services`; `sluice_upstream_connect_failures_total`",
    "correct `endpoints`; start the service; `healthCheck` so that others are taken at once",
  ),
  connectTimeout: guide(
    "no connection was made within `connectTimeout`",
    ["a firewall that drops packets", "an address nobody has", "a service whose accept queue is full"],
    "`upstream` in the access log; `sluice_upstream_connect_failures_total`",
    "correct `endpoints`; a shorter `connectTimeout` fails over sooner",
  ),
  upstreamClosed: guide(
    "the service closed its connection before its answer was complete",
    ["it crashed", "it closes idle connections sooner than `pool.idleTimeout`", "it refuses what it was sent"],
    "the service's own log at that time; `upstream` in the access log",
    "`retry` with `reset`, for methods that may be repeated; `pool.idleTimeout` below the service's",
  ),
  upstreamProtocol: guide(
    "what the service answered is no valid HTTP, or more of it than its `limits` allow",
    [
      "it speaks another protocol or version",
      "TLS where none is expected, or the other way round",
      "a response that could be read in two ways",
    ],
    "`flagDetails`, `upstream` in the access log",
    "the service's `protocol` and `tls`; repair the service",
  ),
  upstreamReset: guide(
    "the service reset the stream (HTTP/2)",
    ["it crashed in that request", "a limit or time limit of its own"],
    "the service's own log at that time",
    "`retry` with `reset`, for methods that may be repeated",
  ),
  upstreamRefused: guide(
    "the service refused the stream (HTTP/2) without looking at it",
    ["it is shutting down", "as many streams as it takes"],
    "the service's own log; `sluice_upstream_retries_total`",
    "`retry` with `refused` (it is by default); more endpoints",
  ),
  upstreamTruncated: guide(
    "the service's response ended before its end, so that the client's was cut off too",
    ["it crashed while it answered", "a `content-length` that is wrong"],
    "the service's own log; `responseBytes` in the access log",
    "repair the service: a response that has begun can't be sent again",
  ),
  perTryTimeout: guide(
    "an attempt had no response head within `timeout.perTry`",
    ["a slow service or endpoint"],
    "`sluice_request_duration_seconds`; `upstream` in the access log: always the same?",
    "a longer `timeout.perTry`; `retry` with `5xx`; `outlierDetection.latency`",
  ),
  responseTimeout: guide(
    "the whole exchange took longer than `timeout.request`, or than the client or a proxy in front gave it",
    ["a slow service", "a stream or upload on a route meant for short answers"],
    `\`sluice_request_duration_seconds\`; ${EXPLAIN} shows the limits that hold`,
    "a longer `timeout.request`, 0 for streams; `hedge`",
  ),
  streamIdle: guide(
    "nothing moved in either direction for `timeout.idle`",
    ["a stalled client or service", "a stream with long pauses"],
    "`durationMs` in the access log",
    "a longer `timeout.idle`; keep-alive messages in the protocol that is carried",
  ),
  filterHold: guide(
    "a filter kept all it may of a connection, until nothing had moved for too long",
    ["a filter that waits for what doesn't come"],
    "`sluice filter ls`, its log",
    "repair the filter; its `limits.body`",
  ),
  faultInjected: guide(
    "a fault on purpose: aborted or reset by the route's `fault`",
    ["somebody tests how clients bear failures"],
    "`sluice_faults_total`; `sluice routes` shows `fault` among a route's filters",
    "take `fault` out of the route when the test is over",
  ),
  drainTimeout: guide(
    "a connection outlived `drain.timeout` while the gateway shut down",
    ["long streams"],
    "when the gateway was stopped",
    "a longer `drain.timeout`; clients that reconnect",
  ),
  filterTrap: guide(
    "a filter crashed in this exchange",
    ["an error in the filter", "input it didn't expect"],
    "`sluice filter ls` (last error), `sluice_filter_traps_total`",
    "repair it, or go back: `sluice filter rollback`; `onError: skip` lets requests pass without it",
  ),
  filterBudget: guide(
    "a filter used more CPU in a call, or more memory, than its `limits` allow",
    ["a loop that depends on the request's size", "an expression that backtracks"],
    "`sluice filter ls` (budget), `sluice_filter_budget_used_total`",
    "make it cheaper; raise `limits.cpu` or `limits.memory`",
  ),
  filterUnavailable: guide(
    "a filter has no instance to run: it waits after traps, is in quarantine, or never started",
    ["the same as of `FT` and `FB`, over and over"],
    "`sluice filter ls`; `/ready` names it",
    "repair it, then `sluice filter release`; `onError: skip`",
  ),
  responseTooLarge: guide(
    "a filter wanted to keep a response's body that is larger than its `limits.body`",
    ["a download on a route with a filter that looks at bodies"],
    "`responseBytes`, `flagDetails` in the access log",
    "raise the filter's `limits.body`, or take it off that route",
  ),
  filterEdit: guide(
    "a filter made the message one that can't be sent: it changed what frames it, or the method to or from HEAD",
    ["an error in the filter"],
    "`flagDetails`; `sluice filter ls`",
    "repair the filter",
  ),
}

/** Flags of what is no failure. */
const OTHER_FLAGS: Readonly<Record<"LR" | "DI", Guide>> = {
  LR: guide(
    "a filter answered, or closed the connection: it is at work",
    ["a filter for authentication that sends clients away", "one that answers from a cache"],
    "`flagDetails` in the access log (the filter's own word for it)",
    "nothing; or what the filter's README says",
  ),
  DI: guide(
    "a request was delayed, or its response slowed, on purpose, and nothing else went wrong",
    ["the route's `fault`"],
    "`sluice_faults_total`",
    "take `fault` out of the route when the test is over",
  ),
}

/** In the order of errors.ts. */
export const flagRows: readonly FlagRow[] = [
  ...(Object.keys(errors) as ErrorCode[]).map((code): FlagRow => {
    const { flag, source, status, retryable, text } = errors[code]
    return { flag, code, source, status, retryable, text, ...flagGuides[code] }
  }),
  ...(["LR", "DI"] as const).map(
    (flag): FlagRow => ({ flag, code: "", source: "", status: 0, retryable: "", text: "", ...OTHER_FLAGS[flag] }),
  ),
]

/** Those of a flag, a part of one (`CT` of `UF,CT`), or a code; whatever the case of its letters. */
export function findFlags(wanted: string): FlagRow[] {
  const word = wanted.trim().toLowerCase()
  const exact = flagRows.filter(({ flag, code }) => flag.toLowerCase() === word || (word !== "" && code.toLowerCase() === word))
  return exact.length > 0 ? exact : flagRows.filter(({ flag }) => flag.toLowerCase().split(",").includes(word))
}
