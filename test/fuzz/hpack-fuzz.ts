// The loop of an HPACK fuzz run: the gateway's decoder beside the reference on random, mutated and encoded blocks, connection after
// connection; stops at the first fault.

import { type FieldSink, HpackDecoder } from "../../gateway/http2/hpack-decoder.ts"
import { BEGIN_ROOM, FIELD_ROOM, HpackEncoder } from "../../gateway/http2/hpack-encoder.ts"
import { encodeHuffman } from "../../gateway/http2/hpack-huffman.ts"
import type { Random } from "../conformance/http1/cuts.ts"
import { type Field, ReferenceDecoder } from "./hpack-reference.ts"

export interface Report {
  /** Blocks decoded. */
  readonly inputs: number
  readonly refused: number
  readonly fields: number
  /** The first fault with its connection's blocks; null when there was none. */
  readonly problem: string | null
}

const names = [
  ":method :path :authority :scheme :status content-type cookie authorization set-cookie date x-a x-b x-request-id traceparent etag te",
  "grpc-timeout proxy-authorization a accept-encoding x-\xe9 x-very-long-name-that-nobody-has-heard-of",
].flatMap((line) => line.split(" "))
const values = [
  "",
  "GET",
  "/",
  "/index.html",
  "200",
  "302",
  "https",
  "gzip, deflate",
  "trailers",
  "private",
  "\0",
  "\xff\xfe",
  "a b",
  "01234567890123456789",
]
/** Where the rules change: prefixes, sizes, limits. */
const edges = [0, 1, 15, 30, 31, 61, 62, 63, 126, 127, 128, 254, 255, 4095, 4096, 4097]

function randomText(random: Random, longest: number): string {
  const length = random.below(8) === 0 ? random.below(longest) : random.below(12)
  const any = random.below(4) === 0
  let text = ""
  for (let i = 0; i < length; i++) text += String.fromCharCode(any ? random.below(256) : 97 + random.below(26))
  return text
}

function integer(out: number[], first: number, bits: number, value: number, random: Random): void {
  const full = 2 ** bits - 1
  if (value < full) {
    out.push(first | value)
    return
  }
  out.push(first | full)
  value -= full
  while (value >= 128) {
    out.push(128 | (value % 128))
    value = Math.floor(value / 128)
  }
  // Now and then more noughts than are needed.
  let noughts = random.below(20) === 0 ? random.below(6) : 0
  if (noughts === 0) out.push(value)
  else {
    out.push(128 | value)
    while (--noughts > 0) out.push(128)
    out.push(0)
  }
}

function literal(out: number[], text: string, random: Random): void {
  if (random.below(2) === 0) {
    integer(out, 0, 7, text.length, random)
    for (let i = 0; i < text.length; i++) out.push(text.charCodeAt(i))
  } else {
    const octets = new Uint8Array(text.length * 4 + 4)
    let end = encodeHuffman(text, octets, 0)
    // Now and then what is no padding.
    if (random.below(60) === 0) octets[end++] = random.below(2) === 0 ? 0xff : random.below(256)
    integer(out, 0x80, 7, end, random)
    out.push(...octets.subarray(0, end))
  }
}

/** A block whose parts are well-formed mostly; what they refer to may not be there. */
function randomBlock(random: Random, known: number): Buffer {
  const out: number[] = []
  if (random.below(6) === 0) integer(out, 0x20, 5, random.below(3) === 0 ? random.pick(edges) : random.below(500), random)
  for (let fields = random.below(8); fields > 0; fields--) {
    const index = random.below(40) === 0 ? random.pick(edges) : 1 + random.below(61 + known)
    const kind = random.below(9)
    if (kind < 3) integer(out, 0x80, 7, index, random)
    else {
      const [first, bits] = kind < 6 ? [0x40, 6] : kind === 6 ? [0, 4] : [0x10, 4]
      const named = random.below(3) > 0
      integer(out, first, bits, named ? index : 0, random)
      if (!named) literal(out, random.below(2) === 0 ? random.pick(names) : randomText(random, 30), random)
      literal(out, random.below(2) === 0 ? random.pick(values) : randomText(random, 300), random)
    }
  }
  return Buffer.from(out)
}

function mutate(block: Buffer, random: Random): Buffer {
  const octets = [...block]
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(octets.length + 1)
    switch (random.below(5)) {
      case 0:
        octets.splice(at, 1)
        break
      case 1:
        octets.splice(at, 0, random.below(256))
        break
      case 2:
        octets.length = Math.min(octets.length, at)
        break
      case 3:
        if (at < octets.length) octets[at] ^= 1 << random.below(8)
        break
      default:
        if (at < octets.length) octets[at] = random.pick(edges) & 0xff
    }
  }
  return Buffer.from(octets)
}

/** One connection: a decoder, its reference, and an encoder whose blocks both get. */
class Connection implements FieldSink {
  readonly blocks: string[] = []
  refused = false
  fields = 0
  readonly #random: Random
  readonly #decoder: HpackDecoder
  readonly #reference: ReferenceDecoder
  readonly #encoder: HpackEncoder | null
  readonly #out = Buffer.alloc(65536)
  #got: Field[] = []
  #kinds: string[] = []

  constructor(random: Random) {
    this.#random = random
    const size = random.below(3) === 0 ? random.pick([0, 31, 40, 100, 300, 4096, 10_000]) : 4096
    this.#encoder = random.below(2) === 0 ? new HpackEncoder() : null
    const max = this.#encoder === null ? size : 4096
    this.#decoder = new HpackDecoder(max, (name, value) => kindOf(name, value))
    this.#reference = new ReferenceDecoder(max)
  }

  onField(name: string, value: string, kind: number): void {
    this.#got.push([name, value, this.#decoder.neverIndexed])
    if (kind !== kindOf(name, value)) this.#kinds.push(`${name}: ${value} is ${kind}`)
  }

  /** What is wrong; null when nothing is. */
  step(): string | null {
    const random = this.#random
    if (random.below(15) === 0) {
      for (let times = 1 + random.below(2); times > 0; times--) {
        const size = random.below(2) === 0 ? random.below(300) : random.pick(edges)
        this.#decoder.setMaxTableSize(size)
        this.#reference.setMaxTableSize(size)
        this.#encoder?.setMaxTableSize(size)
        this.blocks.push(`(${size})`)
      }
    }
    let block: Buffer
    let sent: Field[] | null = null
    if (this.#encoder !== null) {
      sent = []
      const block_ = this.#encode(this.#encoder, sent)
      if (typeof block_ === "string") return block_
      block = block_
      if (random.below(40) === 0) {
        block = mutate(block, random)
        sent = null
      }
    } else {
      block = randomBlock(random, this.#reference.table.length)
      if (random.below(5) === 0) block = mutate(block, random)
    }
    this.blocks.push(block.toString("hex"))
    this.#got = []
    // Around it stand octets that are no part of it.
    const from = random.below(3)
    const around = Buffer.concat([Buffer.alloc(from, 0x82), block, Buffer.alloc(random.below(3), 0x82)])
    const ok = this.#decoder.decode(around, from, from + block.length, this)
    const expected = this.#reference.decode(block)
    this.refused = expected === null
    if (ok !== (expected !== null)) return `accepted: ${ok}, by the reference: ${expected !== null}`
    if (expected === null) return sent === null ? null : "our encoder's block was refused"
    if (this.#kinds.length > 0) return this.#kinds[0]
    this.fields += expected.length
    if (!same(this.#got, expected)) return `got ${JSON.stringify(this.#got)}, not ${JSON.stringify(expected)}`
    if (sent !== null && !same(this.#got, sent)) return `got ${JSON.stringify(this.#got)}, sent ${JSON.stringify(sent)}`
    if (this.#decoder.tableSize !== this.#reference.size) return `table ${this.#decoder.tableSize}, not ${this.#reference.size}`
    if (sent !== null && this.#encoder!.tableSize !== this.#reference.size)
      return `encoder's table ${this.#encoder!.tableSize}, not ${this.#reference.size}`
    if (sent === null && this.#encoder !== null) this.refused = true
    return null
  }

  // A block of random fields; a string for what is wrong with it.
  #encode(encoder: HpackEncoder, sent: Field[]): Buffer | string {
    const random = this.#random
    const out = this.#out
    let at = encoder.begin(out, 0)
    if (at > BEGIN_ROOM) return `begin took ${at} octets`
    for (let fields = random.below(10); fields > 0; fields--) {
      const name = random.below(4) > 0 ? random.pick(names) : randomText(random, 40)
      const value =
        random.below(4) > 0 ? (random.below(2) === 0 ? random.pick(values) : `/path/${random.below(30)}`) : randomText(random, 1500)
      const secret = random.below(15) === 0
      const end = secret ? encoder.secret(out, at, name, value) : encoder.field(out, at, name, value)
      if (end - at > name.length + value.length + FIELD_ROOM) return `${name}: ${value} took ${end - at} octets`
      at = end
      const never = secret || name.endsWith("authorization") || (name === "cookie" && value.length < 20)
      sent.push([name, value, never])
    }
    return Buffer.from(out.subarray(0, at))
  }
}

function kindOf(name: string, value: string): number {
  return name.length * 10_000 + value.length
}

function same(got: readonly Field[], expected: readonly Field[]): boolean {
  if (got.length !== expected.length) return false
  for (let i = 0; i < got.length; i++) {
    for (let part = 0; part < 3; part++) if (got[i][part] !== expected[i][part]) return false
  }
  return true
}

/** Makes and decodes `inputs` random blocks. `progress`: called every million. */
export function fuzzHpack(inputs: number, random: Random, progress: (done: number) => void): Report {
  let problem: string | null = null
  let done = 0
  let refused = 0
  let fields = 0
  while (done < inputs && problem === null) {
    const connection = new Connection(random)
    for (let blocks = 1 + random.below(60); blocks > 0 && done < inputs && problem === null && !connection.refused; blocks--) {
      let fault: string | null
      try {
        fault = connection.step()
      } catch (error) {
        fault = String((error as Error).stack)
      }
      if (fault !== null) problem = `${connection.blocks.join(" ")}\n${fault}`
      if (++done % 1_000_000 === 0) progress(done)
    }
    if (connection.refused) refused++
    fields += connection.fields
  }
  return { inputs: done, refused, fields, problem }
}
