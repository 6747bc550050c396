// What decides on requests of limits that this process can't decide by itself: a Redis shared by several gateways, a
// rate-limit service. The filter asks with what a request is counted by, and acts on the verdict; a decider never touches the
// request, never throws, and always answers: what happens when nobody can be asked is its to know.

/** One limit, as a decider knows it: made with the snapshot, the same object for every request of that snapshot. */
export interface RateLimitRule {
  /** Unique in the configuration: in metrics, in the log, and the prefix of its keys where they are kept. */
  readonly name: string
  /** Requests a window, for keys without an override. */
  readonly requests: number
  /** The window, ms. */
  readonly per: number
  /** Requests that may come at once. */
  readonly burst: number
  /** What requests are told apart by, as it is written: `source`, `header:x-user`, `path:2` …; empty = all of them share. */
  readonly by: readonly string[]
  /** What a rate-limit service is told in front of them. */
  readonly descriptor: readonly { readonly key: string; readonly value: string }[]
}

/** One request under one rule. The filter uses the object again: what outlives `decide` has to be copied. */
export interface RateLimitAsk {
  readonly rule: RateLimitRule
  /** What the request has of each of the rule's `by`, in their order; "" = nothing. From outside: any octets, at most 256 each. */
  readonly values: readonly string[]
  /** The rule's own figures, or those of the override for these values. */
  readonly requests: number
  readonly per: number
  readonly burst: number
}

export interface RateLimitVerdict {
  readonly allowed: boolean
  /** False: nobody could be asked, and `allowed` is what the configuration says for that case. */
  readonly decided: boolean
  /** Index of the ask that the figures are of: the one that refused, or else the one with the fewest requests left. */
  readonly index: number
  /** Requests a window; −1 = the figures are not known, and the client is told none. */
  readonly limit: number
  /** Requests that would pass now. */
  readonly remaining: number
  /** ms until as many would pass as may at most. */
  readonly reset: number
  /** ms until the next would pass; 0 when this one does. */
  readonly retryAfter: number
  /** Fields the decider adds to the request and to its response: name, value, name, value …, valid and lower case. */
  readonly requestHeaders: readonly string[]
  readonly responseHeaders: readonly string[]
}

/** Who waits for a verdict. */
export interface RateLimitWaiter {
  /** Called once at most, and not after `forget`. Good until it returns. */
  onVerdict(verdict: RateLimitVerdict): void
}

/** One for a worker and a place where counts are kept; it outlives snapshots. */
export interface RateLimitDecider {
  /**
   * Decides on one request under several rules: it passes when every rule lets it. The verdict, good until the next call; or
   * null, and the waiter is told later, never from within this call. Whatever waits is bounded in number and time by the
   * decider.
   */
  decide(asks: readonly RateLimitAsk[], waiter: RateLimitWaiter): RateLimitVerdict | null
  /** The request is gone: its waiter is not told any more. Harmless when it isn't waiting. */
  forget(waiter: RateLimitWaiter): void
}
