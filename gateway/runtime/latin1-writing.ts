// How each runtime writes a latin1 string into memory soonest.

/**
 * Characters from which on a Buffer's `latin1Write` is quicker than a loop over `charCodeAt`. The call costs 20 to 40 ns on Bun and
 * Node whatever the length; Deno's takes a microsecond and more, and longer than the loop at any length.
 */
export const LATIN1_WRITE_FROM: number = process.versions.deno === undefined ? 40 : Number.POSITIVE_INFINITY

/**
 * Whether latin1 text may wait behind other writes of a socket. On Deno 2.9 it leaves a TLS socket as UTF-8 when it has waited behind
 * two of them, and the octets are wrong.
 */
export const LATIN1_MAY_WAIT: boolean = process.versions.deno === undefined
