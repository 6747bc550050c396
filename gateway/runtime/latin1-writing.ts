// How each runtime writes a latin1 string into memory soonest.

/**
 * Characters from which on a Buffer's `latin1Write` is quicker than a loop over `charCodeAt`. The call costs 20 to 40 ns on Bun and
 * Node whatever the length; Deno's takes a microsecond and more, and longer than the loop at any length.
 */
export const LATIN1_WRITE_FROM: number = process.versions.deno === undefined ? 40 : Number.POSITIVE_INFINITY
