// gRPC calls that filters make of their own to services of the configuration: what a filter's host and the worker's services
// say to each other.

/** A call, before its messages. */
export interface GrpcCallout {
  readonly service: string
  /** `/package.Service/Method`. */
  readonly path: string
  /** Name, value, name, value …, valid and lower case; without what belongs to the protocol. */
  readonly metadata: readonly string[]
  /** ms; 0 = none. */
  readonly timeout: number
  /** One message comes back: the service is not paused for it. */
  readonly unary: boolean
  /** Name of the filter that makes it: each has a share of the worker's callouts. */
  readonly filter: string
}

/**
 * Who made a call. Called later, never from within `openGrpc`, in this order: the head once, messages, the trailers once, the end once;
 * all but the end may be left out. None is called after a cancel.
 */
export interface GrpcHandler {
  onGrpcHead(metadata: readonly string[]): void
  /** `message` is the handler's own; it is held against the filter until {@link GrpcStream.taken}. */
  onGrpcMessage(message: Uint8Array): void
  onGrpcTrailers(metadata: readonly string[]): void
  /** `status`: a gRPC code. */
  onGrpcEnd(status: number, message: string): void
}

/** A call under way. */
export interface GrpcStream {
  /** Sends a message; `end`: the last. What can't be sent yet waits; when too much does, the call ends with RESOURCE_EXHAUSTED. */
  send(message: Uint8Array, end: boolean): void
  /** No more messages follow. */
  end(): void
  /** A message of so many octets has been dealt with. */
  taken(octets: number): void
  /** Gives it up. */
  cancel(): void
}
