// Which requests a route takes, after validation. Part of model.ts.

/** A string matches exactly, a regex matches the whole value (RE2-like subset of JavaScript's, anchored both ends). */
export type ValueMatch = { readonly exact: string } | { readonly regex: string }

export interface MatchConfig {
  readonly path: { readonly kind: "exact" | "prefix" | "regex"; readonly value: string }
  /** Upper-case methods; empty = any. */
  readonly methods: readonly string[]
  readonly headers: readonly { readonly name: string; readonly value: ValueMatch }[]
  readonly query: readonly { readonly name: string; readonly value: ValueMatch }[]
  /** Undefined: any. */
  readonly cookies?: readonly { readonly name: string; readonly value: ValueMatch }[] | undefined
  /** Share (0–1) of the requests with all of the rest that it takes; undefined: all of them. */
  readonly percentage?: number | undefined
}
