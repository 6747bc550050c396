// The Huffman code of HPACK (RFC 7541 §5.2, Appendix B), octets to octets. Decoding takes a whole octet a step, through a
// table made once when the module is loaded. It makes no strings.

const EOS = 256

/** Bits of the code of each octet, and of EOS. The code is canonical: its lengths say all of it. */
const lengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10,
  12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7,
  7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22,
  23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22,
  23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
  24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]

/** Codes by octet, right-aligned, and that of EOS. */
const codes: readonly number[] = (() => {
  const codes = new Array<number>(lengths.length).fill(0)
  const symbols = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a] - lengths[b] || a - b)
  let code = 0
  let length = lengths[symbols[0]]
  for (const symbol of symbols) {
    code <<= lengths[symbol] - length
    length = lengths[symbol]
    codes[symbol] = code++
  }
  return codes
})()

const CODES = Uint32Array.from(codes.slice(0, EOS))
const LENGTHS = Uint8Array.from(lengths.slice(0, EOS))

/** States of the decoder: inner nodes of the code's tree, of which a code for 257 symbols has 256. */
const STATES = 256
/** A string may end in the first states only: those reached from the root by nought to seven ones (RFC 7541 §5.2). */
const LAST_END = 7
const REFUSED = -1

/**
 * The decoder's next step, by `state << 8 | octet`: the next state in bits 0–7, how many octets come out (at most two, since no
 * code is shorter than five bits) in 8–9, these octets in 10–17 and 18–25. {@link REFUSED} where EOS comes up.
 */
const STEPS: Int32Array = makeSteps()

function makeSteps(): Int32Array {
  // Children of the nodes, two a node: 1 + state for an inner node, −1 − symbol for a leaf.
  const children = new Int32Array(2 * STATES)
  let nodes = 1
  const insert = (symbol: number): void => {
    let node = 0
    for (let bit = lengths[symbol] - 1; bit > 0; bit--) {
      const branch = 2 * node + ((codes[symbol] >>> bit) & 1)
      if (children[branch] === 0) children[branch] = 1 + nodes++
      node = children[branch] - 1
    }
    children[2 * node + (codes[symbol] & 1)] = -1 - symbol
  }
  // First, so that the state after n ones is n.
  insert(EOS)
  for (let symbol = 0; symbol < EOS; symbol++) insert(symbol)

  const steps = new Int32Array(STATES * 256)
  for (let state = 0; state < STATES; state++) {
    for (let octet = 0; octet < 256; octet++) {
      let node = state
      let count = 0
      let out = 0
      for (let bit = 7; bit >= 0 && node !== REFUSED; bit--) {
        const child = children[2 * node + ((octet >> bit) & 1)]
        if (child > 0) node = child - 1
        else if (child === -1 - EOS) node = REFUSED
        else {
          out |= (-1 - child) << (10 + 8 * count++)
          node = 0
        }
      }
      steps[(state << 8) | octet] = node === REFUSED ? REFUSED : node | (count << 8) | out
    }
  }
  return steps
}

/** Octets a string of `length` coded octets needs as room to be decoded into: codes have five bits or more, and a step writes two. */
export function decodedRoom(length: number): number {
  return ((length * 8) / 5 + 2) | 0
}

/**
 * Decodes `from[start, end)` to the beginning of `into`, which has {@link decodedRoom}. The number of octets, or −1 for what is no
 * Huffman code: EOS, padding of more than seven bits, or padding that is not all ones.
 */
export function decodeHuffman(from: Uint8Array, start: number, end: number, into: Uint8Array): number {
  let state = 0
  let length = 0
  for (let i = start; i < end; i++) {
    const step = STEPS[(state << 8) | from[i]]
    if (step < 0) return REFUSED
    into[length] = step >> 10
    into[length + 1] = step >> 18
    length += (step >> 8) & 3
    state = step & 0xff
  }
  return state <= LAST_END ? length : REFUSED
}

/** Octets the code for `text` takes, padding included. */
export function huffmanLength(text: string): number {
  let bits = 0
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i) & 0xff]
  return (bits + 7) >>> 3
}

/** Writes the code for `text` at `at`; the offset after it. */
export function encodeHuffman(text: string, out: Uint8Array, at: number): number {
  // `bits` of `pending` wait, fewer than eight, so that the longest code still fits beside them after one octet is split off.
  let pending = 0
  let bits = 0
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i) & 0xff
    let length = LENGTHS[octet]
    const code = CODES[octet]
    if (length > 24) {
      length -= 8
      pending = (pending << 8) | (code >>> length)
      out[at++] = pending >>> bits
      pending &= (1 << bits) - 1
    }
    pending = (pending << length) | (code & ((1 << length) - 1))
    bits += length
    while (bits >= 8) {
      bits -= 8
      out[at++] = pending >>> bits
    }
    pending &= (1 << bits) - 1
  }
  if (bits > 0) out[at++] = (pending << (8 - bits)) | (0xff >>> bits)
  return at
}
