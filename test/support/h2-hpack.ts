// HPACK (RFC 7541) for tests: slow, simple, written independently of the gateway's, so that a mistake there is not repeated here.
// Encodes literals that no table keeps, and any raw representation a test asks for; decodes everything a peer may send, or throws.

export type Field = readonly [name: string, value: string]

/** §5.1: an integer behind the high bits `pattern` of its first octet, of which `bits` are left for it. */
export function integer(pattern: number, bits: number, value: number): Buffer {
  const full = 2 ** bits - 1
  if (value < full) return Buffer.from([pattern | value])
  const out = [pattern | full]
  let rest = value - full
  while (rest >= 128) {
    out.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  out.push(rest)
  return Buffer.from(out)
}

/** §5.2: a string, latin1. */
export function text(value: string, huffman = false): Buffer {
  const bytes = huffman ? huffmanEncode(Buffer.from(value, "latin1")) : Buffer.from(value, "latin1")
  return Buffer.concat([integer(huffman ? 0x80 : 0, 7, bytes.length), bytes])
}

/** §6.1: an indexed field. */
export const indexed = (index: number): Buffer => integer(0x80, 7, index)
/** §6.2.2: a literal that no table keeps. */
export const literal = ([name, value]: Field): Buffer => Buffer.concat([Buffer.from([0]), text(name), text(value)])
/** §6.2.1: a literal that goes into the dynamic table. */
export const kept = ([name, value]: Field): Buffer => Buffer.concat([Buffer.from([0x40]), text(name), text(value)])
/** §6.2.1 with a name from a table. */
export const keptNamed = (index: number, value: string): Buffer => Buffer.concat([integer(0x40, 6, index), text(value)])
/** §6.2.3: never indexed. */
export const sensitive = ([name, value]: Field): Buffer => Buffer.concat([Buffer.from([0x10]), text(name), text(value)])
/** §6.2.2, both strings in Huffman coding. */
export const huffmanLiteral = ([name, value]: Field): Buffer => Buffer.concat([Buffer.from([0]), text(name, true), text(value, true)])
/** §6.3: a change of the dynamic table's size. */
export const tableSize = (size: number): Buffer => integer(0x20, 5, size)

export function encodeFields(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(literal))
}

/** Appendix A, from index 1. */
const staticTable: readonly Field[] = [
  ...[":authority|", ":method|GET", ":method|POST", ":path|/", ":path|/index.html", ":scheme|http", ":scheme|https"],
  ...["200", "204", "206", "304", "400", "404", "500"].map((status) => `:status|${status}`),
  ...["accept-charset|", "accept-encoding|gzip, deflate", "accept-language|", "accept-ranges|", "accept|"],
  ...["access-control-allow-origin|", "age|", "allow|", "authorization|", "cache-control|", "content-disposition|", "content-encoding|"],
  ...["content-language|", "content-length|", "content-location|", "content-range|", "content-type|", "cookie|", "date|", "etag|"],
  ...["expect|", "expires|", "from|", "host|", "if-match|", "if-modified-since|", "if-none-match|", "if-range|"],
  ...["if-unmodified-since|", "last-modified|", "link|", "location|", "max-forwards|", "proxy-authenticate|", "proxy-authorization|"],
  ...["range|", "referer|", "refresh|", "retry-after|", "server|", "set-cookie|", "strict-transport-security|", "transfer-encoding|"],
  ...["user-agent|", "vary|", "via|", "www-authenticate|"],
].map((entry): Field => {
  const [name, value] = entry.split("|")
  return [name, value]
})

/** Lengths of the codes of Appendix B, which are canonical: ordered by length, then by symbol. Symbol 256 is EOS. */
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10,
  12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7,
  7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22,
  23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22,
  23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
  24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]

/** Code of each symbol as text of 0 and 1, and the other way round. */
const codes: string[] = []
const symbols = new Map<string, number>()
{
  const order = codeLengths.map((length, symbol) => ({ length, symbol })).sort((a, b) => a.length - b.length || a.symbol - b.symbol)
  let code = 0
  let last = 0
  for (const { length, symbol } of order) {
    code *= 2 ** (length - last)
    last = length
    codes[symbol] = code.toString(2).padStart(length, "0")
    symbols.set(codes[symbol], symbol)
    code++
  }
}

export function huffmanEncode(bytes: Uint8Array): Buffer {
  let bits = ""
  for (const byte of bytes) bits += codes[byte]
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1")
  return bitsToBytes(bits)
}

/** Octets of a text of 0 and 1. */
export function bitsToBytes(bits: string): Buffer {
  const out = Buffer.alloc(bits.length / 8)
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(bits.slice(i * 8, i * 8 + 8), 2)
  return out
}

export const eosCode = codes[256]

export function huffmanDecode(bytes: Uint8Array): Buffer {
  const out: number[] = []
  let code = ""
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code += (byte >> bit) & 1
      const symbol = symbols.get(code)
      if (symbol === undefined) continue
      if (symbol === 256) throw new Error("EOS in a Huffman-coded string")
      out.push(symbol)
      code = ""
    }
  }
  if (code.length > 7 || code.includes("0")) throw new Error("bad padding of a Huffman-coded string")
  return Buffer.from(out)
}

/** What a peer's encoder and this side have agreed on. */
export class HpackDecoder {
  readonly #entries: Field[] = []
  #size = 0
  #capacity = 4096
  #limit = 4096

  /** Our SETTINGS_HEADER_TABLE_SIZE, once the peer has it. */
  setLimit(octets: number): void {
    this.#limit = octets
    if (octets < this.#capacity) this.#resize(octets)
  }

  /** Entries in the dynamic table. */
  get entries(): number {
    return this.#entries.length
  }

  decode(block: Buffer): Field[] {
    const fields: Field[] = []
    let at = 0
    const readInteger = (bits: number): number => {
      const full = 2 ** bits - 1
      let value = block[at++] & full
      if (value < full) return value
      for (let shift = 0; ; shift += 7) {
        if (at >= block.length || shift > 28) throw new Error("an integer without end")
        const byte = block[at++]
        value += (byte & 127) * 2 ** shift
        if (byte < 128) return value
      }
    }
    const readText = (): string => {
      if (at >= block.length) throw new Error("a string is missing")
      const huffman = block[at] >= 128
      const length = readInteger(7)
      if (at + length > block.length) throw new Error("a string is cut short")
      const bytes = block.subarray(at, at + length)
      at += length
      return (huffman ? huffmanDecode(bytes) : bytes).toString("latin1")
    }
    while (at < block.length) {
      const first = block[at]
      if (first >= 0x80) {
        fields.push(this.#entry(readInteger(7)))
      } else if (first >= 0x40) {
        const index = readInteger(6)
        const name = index === 0 ? readText() : this.#entry(index)[0]
        const field: Field = [name, readText()]
        this.#add(field)
        fields.push(field)
      } else if (first >= 0x20) {
        const size = readInteger(5)
        if (fields.length > 0) throw new Error("a table size behind a field")
        if (size > this.#limit) throw new Error(`a table size of ${size}, over ${this.#limit}`)
        this.#resize(size)
      } else {
        const index = readInteger(4)
        const name = index === 0 ? readText() : this.#entry(index)[0]
        fields.push([name, readText()])
      }
    }
    return fields
  }

  #entry(index: number): Field {
    const entry = index <= staticTable.length ? staticTable[index - 1] : this.#entries[index - staticTable.length - 1]
    if (entry === undefined) throw new Error(`no entry ${index} in the tables`)
    return entry
  }

  #add(field: Field): void {
    this.#entries.unshift(field)
    this.#size += weight(field)
    this.#evict()
  }

  #resize(octets: number): void {
    this.#capacity = octets
    this.#evict()
  }

  #evict(): void {
    while (this.#size > this.#capacity) this.#size -= weight(this.#entries.pop() as Field)
  }
}

/** §4.1: what an entry counts. */
function weight([name, value]: Field): number {
  return name.length + value.length + 32
}
