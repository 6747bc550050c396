// A hash of a text that is the same in every process, on every runtime and for good: for shares of clients and names in
// cookies. It is no secret, and keeps none.

/** 32 bits of `text`, whose characters are octets; another `seed` gives an independent hash. MurmurHash3, x86, 32 bits. */
export function hashText(text: string, seed = 0): number {
  const { length } = text
  const whole = length & ~3
  let hash = seed | 0
  for (let i = 0; i < whole; i += 4) {
    const block = octet(text, i) | (octet(text, i + 1) << 8) | (octet(text, i + 2) << 16) | (octet(text, i + 3) << 24)
    hash ^= scramble(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let rest = 0
  for (let i = length - 1; i >= whole; i--) rest = (rest << 8) | octet(text, i)
  if (whole < length) hash ^= scramble(rest)
  return mixBits(hash ^ length)
}

/** Spreads every bit of a 32-bit number over all of them: MurmurHash3's finalizer. */
export function mixBits(bits: number): number {
  let mixed = bits | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function octet(text: string, i: number): number {
  return text.charCodeAt(i) & 0xff
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}
