// Hashes that requests are spread by. The same in every gateway and after every restart, so that they all send a key to the same
// endpoint; not made to withstand someone who looks for keys that collide.

/** FNV-1a over the characters from `from` to `to`, with the octets of the result mixed, so that each bit of it is good for something. */
export function hashText(text: string, from = 0, to = text.length): number {
  let hash = 0x811c9dc5
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    hash = Math.imul(hash ^ (code & 0xff), 0x01000193)
    if (code > 0xff) hash = Math.imul(hash ^ (code >> 8), 0x01000193)
  }
  return mix(hash)
}

/** Spreads a 32-bit number over all 32-bit numbers, one to one (the finaliser of MurmurHash3). Unsigned. */
export function mix(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
