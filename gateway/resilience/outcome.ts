// How a request to a service has ended, as policies see it.

/** The service did what it was asked to. */
export const OK = 0
/** It failed, or took too long. */
export const FAILED = 1
/** Nothing is known of it: it never got there, or its client gave it up. */
export const DROPPED = 2

export type Outcome = typeof OK | typeof FAILED | typeof DROPPED
