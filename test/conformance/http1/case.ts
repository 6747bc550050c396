// The shape of the HTTP/1.1 conformance table: octets in, and what must come of them. Strings are latin1, one character an octet.

/** A message as the other side must receive it. */
export interface Forwarded {
  /** Its start line. */
  readonly line: string
  /** `name: value` in order; of requests, without the fields that the gateway adds of its own (x-forwarded-*, x-request-id, traceparent). */
  readonly fields: readonly string[]
  /** The body's data, whatever its framing. */
  readonly body?: string
  readonly trailers?: readonly string[]
}

export interface RequestCase {
  readonly name: string
  /** What the client sends. */
  readonly send: string
  /** The client ends its side after that. */
  readonly end?: boolean
  /** Requests the service must receive, in order; none by default. `@origin` in a field stands for the endpoint's address. */
  readonly forwards?: readonly Forwarded[]
  /**
   * What comes after these: a status with which the rest is refused and the connection closed; "kept": another request can follow;
   * "closed": an orderly end after the responses; "cut": an end without an answer.
   */
  readonly after: number | "kept" | "closed" | "cut"
}

export interface ResponseCase {
  readonly name: string
  /** The request line it answers; `GET / HTTP/1.1` by default. */
  readonly request?: string
  /** What the service sends. */
  readonly send: string
  /** It ends its side after that. */
  readonly end?: boolean
  /** What the client must receive; without it, a 502. Of `line`, the version is the gateway's. */
  readonly gives?: Forwarded
  /** 1xx heads the client must receive before it: start line and fields. */
  readonly interim?: readonly (readonly string[])[]
  /** Whether the client must see a whole response (default), or one that is plainly cut short. */
  readonly truncated?: boolean
  /** Whether the connection to the service carries another request afterwards. */
  readonly reused: boolean
}
