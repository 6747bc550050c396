// How each row of errors.ts is brought about for real in the tests, and which test does it: documents show it as a table.

import type { ErrorCode } from "../../gateway/errors.ts"

export interface FailureCause {
  /** What is done, for readers. */
  readonly cause: string
  /** `sluice explain` of the request says so beforehand. */
  readonly foreseen: boolean
  /** The test that brings it about. */
  readonly test: string
}

/** The one that goes through all that a single gateway can be made to do. */
export const FAILURES = "test/contract/failures.test.ts"

function here(cause: string, foreseen = false): FailureCause {
  return { cause, foreseen, test: FAILURES }
}

export const failureCauses: Readonly<Record<ErrorCode, FailureCause>> = {
  badRequest: here("a path with `%00`", true),
  uriTooLong: here("a long path", true),
  headTooLarge: here("more fields than may be", true),
  requestTimeout: here("a body that doesn't come"),
  bodyTooLarge: here("a body above the listener's limit"),
  expectationFailed: here("`expect: a-miracle`", true),
  methodNotAllowed: here("TRACE, which no route names", true),
  codingNotImplemented: here("`transfer-encoding: gzip`", true),
  versionNotSupported: here("`GET / HTTP/3.0`"),
  proxyHeader: here("a connection without its PROXY header"),
  clientHello: here("plain text at a `tls` listener"),
  openingTimeout: here("a silent client of a `tls` listener"),
  misdirected: here("another host than the certificate's", true),
  clientGone: here("a client that leaves"),
  noRoute: here("a path no route has", true),
  noService: here("a route to a service that isn't there", true),
  noEndpoint: here("a service whose endpoints have weight 0", true),
  rateLimited: here("the second request of an hour's one"),
  rateLimitUnavailable: here("a shared limit whose Redis is down"),
  overflow: here("a request more than `maxRequests`", true),
  queueTimeout: here("all connections in use"),
  overloaded: here("a gateway with too little memory", true),
  connectFailure: here("an endpoint where nobody listens"),
  connectTimeout: { cause: "an endpoint that accepts nothing", foreseen: false, test: "test/contract/timeouts.test.ts" },
  upstreamClosed: here("a service that hangs up on a POST"),
  upstreamProtocol: here("a service that answers with what is no HTTP"),
  upstreamReset: here("a service that resets the stream of a POST"),
  upstreamRefused: here("a service that refuses every stream"),
  upstreamTruncated: here("a service that dies in its response"),
  perTryTimeout: here("a service that doesn't answer an attempt"),
  responseTimeout: here("a service that doesn't answer"),
  streamIdle: here("a response that stops half-way"),
  filterHold: { cause: "a filter that keeps what a connection brings", foreseen: false, test: "test/contract/tcp-filters.test.ts" },
  faultInjected: here("`fault: { abort: { status: 503 } }`"),
  drainTimeout: { cause: "a connection that outlives the drain", foreseen: false, test: "test/contract/tcp.test.ts" },
  filterTrap: here("a filter that crashes"),
  filterBudget: here("a filter that loops"),
  filterUnavailable: here("a filter that has crashed over and over", true),
  responseTooLarge: here("a filter that keeps a response above its limit"),
  filterEdit: here("a filter that turns GET into HEAD"),
}
