// RFC 7541: header blocks as they may and may not be. A block that can't be decoded ends the connection (RFC 9113 §4.3).

import { requestFields } from "../../support/h2-client.ts"
import { headers } from "../../support/h2-frames.ts"
import {
  bitsToBytes,
  encodeFields,
  eosCode,
  huffmanEncode,
  huffmanLiteral,
  indexed,
  integer,
  kept,
  keptNamed,
  literal,
  sensitive,
  tableSize,
} from "../../support/h2-hpack.ts"
import type { Forwarded, FrameCase } from "./case.ts"

const GET = requestFields()
const start = encodeFields(GET)
/** GET, http, / of the static table, and an authority that goes into the dynamic one. */
const compact = Buffer.concat([indexed(2), indexed(6), indexed(4), keptNamed(1, "a")])

function broken(name: string, ...parts: readonly Uint8Array[]): FrameCase {
  return { name, send: [headers(1, Buffer.concat([start, ...parts]))], expects: "GOAWAY COMPRESSION_ERROR" }
}

function works(name: string, block: readonly Uint8Array[], fields: readonly string[] = [], more: Partial<Forwarded> = {}): FrameCase {
  return { name, send: [headers(1, Buffer.concat(block))], expects: "200", forwards: { line: "GET / HTTP/1.1", fields, ...more } }
}

/** `name: <string of these octets>`, not Huffman-coded in name; the value's octets are said to be. */
function huffmanValue(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0, 1, 0x78]), integer(0x80, 7, bytes.length), bytes])
}

/** Several requests on one connection: streams 1, 3, 5 … each with its block; it is about the last. */
function sequence(
  name: string,
  blocks: readonly (readonly Uint8Array[])[],
  expects: FrameCase["expects"],
  fields: readonly string[] = [],
): FrameCase {
  const last = blocks.length * 2 - 1
  const send = blocks.map((parts, i) => headers(1 + i * 2, Buffer.concat(parts)))
  return expects === "200"
    ? { name, send, stream: last, expects, forwards: { line: "GET / HTTP/1.1", fields } }
    : { name, send, stream: last, expects }
}

const ones = (count: number): string => "1".repeat(count)

export const hpackCases: readonly FrameCase[] = [
  // §2.3.3, §6.1: indexes.
  broken("RFC 7541 §6.1 index 0", indexed(0)),
  broken("RFC 7541 §2.3.3 an index one beyond the tables", indexed(62)),
  broken("RFC 7541 §2.3.3 an index far beyond the tables", indexed(100_000)),
  broken("RFC 7541 §2.3.3 the name of an entry beyond the tables", keptNamed(62, "x")),
  broken("RFC 7541 §2.3.3 the name of an unindexed literal beyond the tables", Buffer.concat([integer(0, 4, 70), Buffer.from([1, 0x78])])),
  works("RFC 7541 §6.1 fields of the static table", [compact]),
  works("RFC 7541 §6.2.1 a field kept and used at once", [start, kept(["x-kept", "yes"]), indexed(62)], ["x-kept: yes", "x-kept: yes"]),
  works("RFC 7541 §6.2.2 the name from the static table", [start, integer(0, 4, 58), Buffer.from([1, 0x78])], ["user-agent: x"]),
  works("RFC 7541 §6.2.3 a field that is never indexed", [start, sensitive(["x-secret", "s"])], ["x-secret: s"]),
  sequence(
    "RFC 7541 §2.3.2 the newest entry is the first",
    [
      [start, kept(["x", "1"]), kept(["x", "2"])],
      [start, indexed(62), indexed(63)],
    ],
    "200",
    ["x: 2", "x: 1"],
  ),
  sequence(
    "RFC 7541 §2.2 entries live from block to block",
    [[compact, kept(["x", "y"])], [compact], [indexed(2), indexed(6), indexed(4), indexed(64), indexed(63)]],
    "200",
    ["x: y"],
  ),

  // §5.1: integers.
  broken("RFC 7541 §5.1 an index without its end", Buffer.from([0xff])),
  broken("RFC 7541 §5.1 an index that goes on at the block's end", Buffer.from([0xff, 0x80, 0x80])),
  broken("RFC 7541 §5.1 an index of 2^70", Buffer.from([0xff, ...Array<number>(10).fill(0xff), 0x01])),
  broken("RFC 7541 §5.1 a length of 2^35", Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f])])),
  broken("RFC 7541 §5.1 a length that wraps around at 2^32", Buffer.from([0, 0x7f, 0x82, 0xff, 0xff, 0xff, 0x0f, 0x78, 0x01, 0x79])),
  broken("RFC 7541 §5.1 an index with a hundred octets of nothing", Buffer.from([0xff, ...Array<number>(100).fill(0x80), 0x00])),

  // §5.2: strings.
  broken("RFC 7541 §5.2 a name longer than the block", Buffer.from([0, 20, 0x78])),
  broken("RFC 7541 §5.2 a value longer than the block", Buffer.from([0, 1, 0x78, 20, 0x79])),
  broken("RFC 7541 §5.2 a literal without a name", Buffer.from([0])),
  broken("RFC 7541 §5.2 a literal without a value", Buffer.from([0x40, 1, 0x78])),
  broken("RFC 7541 §5.2 a Huffman-coded string longer than the block", Buffer.from([0, 1, 0x78, 0x8a, 0x1f])),
  broken("RFC 7541 §5.2 padding of more than 7 bits", huffmanValue(Buffer.concat([huffmanEncode(Buffer.from("a")), Buffer.from([0xff])]))),
  broken("RFC 7541 §5.2 padding of 8 bits alone", huffmanValue(Buffer.from([0xff]))),
  broken("RFC 7541 §5.2 padding of zeros", huffmanValue(bitsToBytes("00011000"))),
  broken("RFC 7541 §5.2 padding with one zero in it", huffmanValue(bitsToBytes("00011101"))),
  broken("RFC 7541 §5.2 EOS in a string", huffmanValue(bitsToBytes(`${eosCode}${ones(2)}`))),
  broken("RFC 7541 §5.2 EOS behind a letter", huffmanValue(bitsToBytes(`00011${eosCode}${ones(5)}`))),
  works(
    "RFC 7541 §5.2 everything in Huffman coding",
    [...GET.map(huffmanLiteral), huffmanLiteral(["x-test", "some Text, 123"])],
    ["x-test: some Text, 123"],
  ),
  works(
    "RFC 7541 §5.2 every octet of obs-text in Huffman coding",
    [start, huffmanLiteral(["x", String.fromCharCode(...Array.from({ length: 128 }, (_, i) => i + 128))])],
    [`x: ${String.fromCharCode(...Array.from({ length: 128 }, (_, i) => i + 128))}`],
  ),
  works("RFC 7541 §5.2 an empty string in Huffman coding", [start, huffmanLiteral(["x", ""])], ["x: "]),
  {
    name: "RFC 7541 §5.2 an upper-case name that Huffman coding hides",
    send: [headers(1, Buffer.concat([start, huffmanLiteral(["X-Test", "y"])]))],
    expects: ["RST_STREAM PROTOCOL_ERROR", "400"],
  },
  {
    name: "RFC 7541 §5.2 a line break that Huffman coding hides",
    send: [headers(1, Buffer.concat([start, huffmanLiteral(["x", "a\r\nb: c"])]))],
    expects: ["RST_STREAM PROTOCOL_ERROR", "400"],
  },

  // §4, §6.3: the table's size.
  works("RFC 7541 §4.2 a change of size at the start", [tableSize(0), compact]),
  works("RFC 7541 §4.2 two changes of size at the start", [tableSize(0), tableSize(4096), compact]),
  broken("RFC 7541 §4.2 a change of size behind a field", tableSize(0)),
  {
    name: "RFC 7541 §6.3 a size over what the gateway allows",
    send: ({ headerTableSize }) => [headers(1, Buffer.concat([tableSize(headerTableSize + 1), start]))],
    expects: "GOAWAY COMPRESSION_ERROR",
  },
  {
    name: "RFC 7541 §6.3 exactly the size the gateway allows",
    send: ({ headerTableSize }) => [headers(1, Buffer.concat([tableSize(headerTableSize), start]))],
    expects: "200",
    forwards: { line: "GET / HTTP/1.1" },
  },
  {
    name: "RFC 7541 §6.3 a size of 2^32",
    send: [headers(1, Buffer.concat([Buffer.from([0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f]), start]))],
    expects: "GOAWAY COMPRESSION_ERROR",
  },
  sequence(
    "RFC 7541 §4.3 a size of 0 empties the table",
    [
      [start, kept(["x", "y"])],
      [tableSize(0), tableSize(4096), start, indexed(62)],
    ],
    "GOAWAY COMPRESSION_ERROR",
  ),
  sequence(
    "RFC 7541 §4.3 a smaller size drops the oldest",
    [
      [start, kept(["x", "1"]), kept(["x", "2"])],
      [tableSize(40), start, indexed(62)],
    ],
    "200",
    ["x: 2"],
  ),
  sequence(
    "RFC 7541 §4.3 and the dropped is gone",
    [
      [start, kept(["x", "1"]), kept(["x", "2"])],
      [tableSize(40), start, indexed(63)],
    ],
    "GOAWAY COMPRESSION_ERROR",
  ),
  sequence(
    "RFC 7541 §4.4 an entry larger than the table empties it",
    [
      [tableSize(100), start, kept(["x", "y"]), kept(["big", "z".repeat(100)])],
      [start, indexed(62)],
    ],
    "GOAWAY COMPRESSION_ERROR",
  ),
  sequence(
    "RFC 7541 §4.4 an entry may name the one it drives out",
    [
      [tableSize(64), start, kept(["x-name", "first"])],
      [start, keptNamed(62, "second")],
    ],
    "200",
    ["x-name: second"],
  ),
  sequence(
    "RFC 7541 §4.1 an entry counts 32 octets more",
    [
      [tableSize(68), start, kept(["x", "1"]), kept(["y", "2"])],
      [start, indexed(62), indexed(63)],
    ],
    "200",
    ["y: 2", "x: 1"],
  ),
  sequence(
    "RFC 7541 §4.1 and one octet less is too small for both",
    [
      [tableSize(67), start, kept(["x", "1"]), kept(["y", "2"])],
      [start, indexed(63)],
    ],
    "GOAWAY COMPRESSION_ERROR",
  ),

  // RFC 9113 §4.3: what was refused has still been decoded.
  sequence(
    "RFC 9113 §4.3 the block of a refused request changes the table too",
    [
      [start, kept(["x", "y"]), literal(["Upper", "case"])],
      [start, indexed(62)],
    ],
    "200",
    ["x: y"],
  ),
]
