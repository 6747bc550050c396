// How a request to a service has ended, as policies see it.

/** The service did what it was asked to. */
export const OK = 0
/** It failed, or took too long. */
export const FAILED = 1
/** Nothing is known of it: it never got there, or its client gave it up. */
export const DROPPED = 2

/** gRPC codes by which a service says that it failed, as a set of bits: the others are its clients' own doing. */
const FAILED_CALLS = (1 << 4) | (1 << 8) | (1 << 13) | (1 << 14) | (1 << 15)

/** How a request was answered. `grpcStatus`: −1 = none, or none yet. */
export function outcomeOf(status: number, grpcStatus: number): Outcome {
  return status >= 500 || (grpcStatus > 0 && grpcStatus < 31 && (FAILED_CALLS & (1 << grpcStatus)) !== 0) ? FAILED : OK
}

export type Outcome = typeof OK | typeof FAILED | typeof DROPPED
