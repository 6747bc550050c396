// Every way an exchange can fail, in one table. Layers fail with a code; only `proxy/` turns a code into a reply, so no
// other place writes a status, a flag or a text of its own.

/** Who is to blame: the client, the service, Sluice itself (its configuration or limits), or a user's filter. */
export type ErrorSource = "downstream" | "upstream" | "gateway" | "filter"

/**
 * Whether the request may be sent again. `yes`: nothing was sent. `if-idempotent`: only while no octet of a response has
 * come, and only a request without a body whose method may be repeated. `no`: never.
 */
export type Retryable = "no" | "yes" | "if-idempotent"

export interface ErrorRow {
  readonly source: ErrorSource
  readonly retryable: Retryable
  /** HTTP status of the local reply; 0 = no reply is possible (the peer is gone). */
  readonly status: number
  /** gRPC status code of the local reply (google.rpc.Code). */
  readonly grpcStatus: number
  /** Short reason in the access log and in metrics. */
  readonly flag: string
  /** The downstream connection can't be used after this reply. */
  readonly close: boolean
  /** Text of the local reply. Never contains internal addresses. */
  readonly text: string
}

function row(
  source: ErrorSource,
  retryable: Retryable,
  status: number,
  grpcStatus: number,
  flag: string,
  close: boolean,
  text: string,
): ErrorRow {
  return Object.freeze({ source, retryable, status, grpcStatus, flag, close, text })
}

/**
 * Response flags follow Envoy's letters where Envoy has the same case: DC client gone, DPE client broke the protocol,
 * NR no route, NC no such service, UH no healthy endpoint, UF connect failed, UO limit reached (QT: waited too long), UT time-out, UC upstream
 * closed, UR it reset or refused the stream, RL refused by a rate limit, RLSE nobody could be asked about one, UPE upstream broke the protocol,
 * SI idle stream. Sluice's own: OL the gateway has too much to do, RT request head or body too slow, CL client over
 * a limit, FD denied because a filter failed, FT filter trapped, FB filter out of budget, FL a body a filter keeps is over
 * its limit, LR reply by a filter, FI and DI a fault on purpose (an abort or reset, a delay), MR a request for another host than its connection's certificate is for. DT it outlived the drain time-out.
 */
export const errors = {
  badRequest: row("downstream", "no", 400, 3, "DPE", true, "bad request"),
  uriTooLong: row("downstream", "no", 414, 3, "CL", true, "request line too long"),
  headTooLarge: row("downstream", "no", 431, 8, "CL", true, "request head too large"),
  requestTimeout: row("downstream", "no", 408, 4, "RT", true, "request took too long to arrive"),
  bodyTooLarge: row("downstream", "no", 413, 8, "CL", true, "request body too large"),
  expectationFailed: row("downstream", "no", 417, 3, "DPE", true, "expectation not supported"),
  methodNotAllowed: row("downstream", "no", 405, 12, "DPE", true, "method not allowed"),
  codingNotImplemented: row("downstream", "no", 501, 12, "DPE", true, "transfer coding not implemented"),
  versionNotSupported: row("downstream", "no", 505, 3, "DPE", true, "HTTP version not supported"),
  proxyHeader: row("downstream", "no", 0, 3, "DPE", true, "connection began without a valid PROXY header"),
  clientHello: row("downstream", "no", 0, 3, "DPE", true, "connection began without a valid ClientHello"),
  openingTimeout: row("downstream", "no", 0, 4, "RT", true, "connection took too long to begin"),
  misdirected: row("downstream", "no", 421, 14, "MR", false, "this connection was made for another host"),
  clientGone: row("downstream", "no", 0, 1, "DC", true, "client closed the connection"),
  noRoute: row("gateway", "no", 404, 12, "NR", false, "no route matches this request"),
  noService: row("gateway", "no", 500, 13, "NC", false, "the route has no such backend"),
  noEndpoint: row("gateway", "no", 503, 14, "UH", false, "no endpoint available"),
  rateLimited: row("gateway", "no", 429, 8, "RL", false, "too many requests"),
  rateLimitUnavailable: row("gateway", "no", 503, 14, "RLSE", false, "the rate limit could not be checked"),
  overflow: row("gateway", "no", 503, 14, "UO", false, "too many requests in flight"),
  queueTimeout: row("gateway", "no", 503, 14, "UO,QT", false, "waited too long for a connection"),
  overloaded: row("gateway", "no", 503, 14, "OL", false, "the gateway has too much to do"),
  connectFailure: row("upstream", "yes", 503, 14, "UF", false, "upstream connect failed"),
  connectTimeout: row("upstream", "yes", 503, 14, "UF,CT", false, "upstream connect timed out"),
  upstreamClosed: row("upstream", "if-idempotent", 502, 14, "UC", false, "upstream closed the connection"),
  upstreamProtocol: row("upstream", "no", 502, 13, "UPE", false, "upstream sent an invalid response"),
  upstreamReset: row("upstream", "if-idempotent", 502, 14, "UR", false, "upstream reset the stream"),
  upstreamRefused: row("upstream", "yes", 503, 14, "UR", false, "upstream refused the stream"),
  upstreamTruncated: row("upstream", "no", 0, 14, "UC,TR", true, "upstream response was cut short"),
  perTryTimeout: row("upstream", "no", 504, 4, "UT,PT", false, "upstream attempt timed out"),
  responseTimeout: row("upstream", "no", 504, 4, "UT", false, "upstream request timed out"),
  streamIdle: row("upstream", "no", 504, 4, "SI", true, "stream idle for too long"),
  filterHold: row("filter", "no", 0, 8, "FL", true, "filter kept too much of a connection"),
  faultInjected: row("gateway", "no", 503, 14, "FI", false, "fault injected"),
  drainTimeout: row("gateway", "no", 0, 14, "DT", true, "connection was cut off by the drain time-out"),
  filterTrap: row("filter", "no", 500, 13, "FT", false, "filter failed"),
  filterBudget: row("filter", "no", 500, 13, "FB", false, "filter exceeded its limits"),
  filterUnavailable: row("filter", "no", 500, 13, "FD", false, "filter unavailable"),
  responseTooLarge: row("filter", "no", 502, 8, "FL", false, "response body too large for a filter"),
  filterEdit: row("filter", "no", 500, 13, "FE", false, "filter made the message invalid"),
} as const satisfies Record<string, ErrorRow>

/** Name of a row of {@link errors}. */
export type ErrorCode = keyof typeof errors
