// CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of PROXY headers.

const table = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc >>> 0
})

/** Of octets `[from, to)`; those in `[blank, blank + 4)` count as zero, for the checksum itself may stand there. */
export function crc32c(bytes: Uint8Array, from: number, to: number, blank = -4): number {
  let crc = 0xffffffff
  for (let i = from; i < to; i++) {
    const octet = i >= blank && i < blank + 4 ? 0 : bytes[i]
    crc = table[(crc ^ octet) & 255] ^ (crc >>> 8)
  }
  return ~crc >>> 0
}
