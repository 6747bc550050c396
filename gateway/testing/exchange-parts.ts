// The parts of an exchange as a test writes them and as it finds them.

import type { MessageContent, ObservedBody, ObservedHeaders } from "./messages.ts"

/** The client's side of the connection. */
export interface Peer {
  /** Default 192.0.2.1. */
  readonly address?: string
  /** Default 50000. */
  readonly port?: number
  /** Proxies in front whose `x-forwarded-*` and `x-request-id` are believed; default 0. */
  readonly trustedHops?: number
}

/** A request of a client. */
export interface TestRequest extends MessageContent {
  /** Default GET; POST with a body. */
  readonly method?: string
  /** Path and query, as they are sent; default `/`. */
  readonly path?: string
  /** Default `example.com`. */
  readonly authority?: string
  /** Default `http`. */
  readonly scheme?: "http" | "https"
  readonly peer?: Peer
}

/** What the upstream answers. */
export interface TestResponse extends MessageContent {
  /** Default 200. */
  readonly status?: number
}

/** A request as the upstream got it. */
export interface UpstreamRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly authority: string
  readonly headers: ObservedHeaders
  readonly body: ObservedBody
  readonly trailers: ObservedHeaders
  /** Where it was sent: the route's backend, or the service a filter chose. */
  readonly service: string
}

/** A response as the client got it. */
export interface ClientResponse {
  readonly status: number
  readonly headers: ObservedHeaders
  readonly body: ObservedBody
  readonly trailers: ObservedHeaders
}

/** The answer to every request, or a function of the request that makes it. */
export type Upstream = TestResponse | ((request: UpstreamRequest) => TestResponse | Promise<TestResponse>)
