// RFC 9113 §3, §4, §6: the preface, sizes, flags, padding and ids of frames, header blocks in parts.

import { requestFields } from "../../support/h2-client.ts"
import {
  ACK,
  continuation,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  frameTypes,
  goaway,
  headers,
  PADDED,
  PRIORITY,
  ping,
  preface,
  priority,
  rstStream,
  settings,
  windowUpdate,
  words,
} from "../../support/h2-frames.ts"
import { encodeFields } from "../../support/h2-hpack.ts"
import { type FrameCase, get, held, malformed, post } from "./case.ts"

const { DATA, HEADERS, PING, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, WINDOW_UPDATE, CONTINUATION, PRIORITY: PRIO } = frameTypes
const block = encodeFields(requestFields())
const ok = { line: "GET / HTTP/1.1" }
const posted = (body: string) => ({ line: "POST / HTTP/1.1", body })
/** A frame with the reserved bit of its stream's id set. */
const reserved = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes)
  copy[5] |= 0x80
  return copy
}

const openings: readonly FrameCase[] = [
  {
    name: "§3.4 a broken preface",
    opening: [Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
    send: [],
    expects: ["GOAWAY PROTOCOL_ERROR", "closed"],
  },
  {
    name: "§3.4 a preface with another version",
    opening: [Buffer.from("PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n")],
    send: [],
    expects: ["GOAWAY PROTOCOL_ERROR", "closed"],
  },
  { name: "§3.4 PING before SETTINGS", opening: [preface, ping("12345678")], send: [], expects: ["GOAWAY PROTOCOL_ERROR", "closed"] },
  { name: "§3.4 HEADERS before SETTINGS", opening: [preface, get(1)], send: [], expects: ["GOAWAY PROTOCOL_ERROR", "closed"] },
  {
    name: "§3.4 a request with the preface, before the server's SETTINGS",
    opening: [preface, settings()],
    send: [get(1)],
    expects: "200",
    forwards: ok,
  },
]

const unknown: readonly FrameCase[] = [
  {
    name: "§4.1 an unknown frame type on the connection",
    send: [frame(0x42, 0, 0, Buffer.from("abc")), get(1)],
    expects: "200",
    forwards: ok,
  },
  {
    name: "§4.1 an unknown frame type on an idle stream",
    send: [frame(0xfe, 0xff, 9, Buffer.from("abc"))],
    expects: ["ignored", "GOAWAY PROTOCOL_ERROR"],
  },
  {
    name: "§4.1 an unknown frame type on an open stream",
    send: [post(1), frame(0x42, 0xff, 1, Buffer.alloc(100)), data(1, "x", { end: true })],
    expects: "200",
    forwards: posted("x"),
  },
  { name: "§4.1 an empty frame of an unknown type", send: [frame(0x42, 0, 0)], expects: "ignored" },
  { name: "§4.1 unknown flags of PING", send: [frame(PING, 0xfe, 0, Buffer.alloc(8))], expects: "ignored" },
  {
    name: "§4.1 unknown flags of HEADERS",
    send: [frame(HEADERS, 0x52 | END_STREAM | END_HEADERS, 1, block)],
    expects: "200",
    forwards: ok,
  },
  { name: "§4.1 unknown flags of SETTINGS", send: [frame(SETTINGS, 0xfe, 0)], expects: "ignored" },
  { name: "§4.1 the reserved bit of the stream's id, in HEADERS", send: [reserved(get(1))], expects: "200", forwards: ok },
  { name: "§4.1 the reserved bit of the stream's id, in PING", send: [reserved(ping("abcdefgh"))], expects: "ignored" },
  { name: "§6.9 the reserved bit of an increment", send: [frame(WINDOW_UPDATE, 0, 0, words(0x80000001))], expects: "ignored" },
  {
    name: "§5.5 ORIGIN, ALTSVC and PRIORITY_UPDATE from a client",
    send: [
      frame(12, 0, 0, Buffer.alloc(4)),
      frame(10, 0, 0, Buffer.alloc(4)),
      frame(16, 0, 0, Buffer.concat([words(1), Buffer.from("u=1")])),
    ],
    expects: "ignored",
  },
]

const sizes: readonly FrameCase[] = [
  {
    name: "§4.2 DATA of the largest size everyone takes",
    send: [post(1), data(1, "x".repeat(16_384), { end: true })],
    expects: "200",
    forwards: posted("x".repeat(16_384)),
  },
  {
    name: "§4.2 DATA larger than MAX_FRAME_SIZE",
    send: ({ maxFrameSize }) => [post(1), data(1, Buffer.alloc(maxFrameSize + 1), { end: true })],
    expects: ["RST_STREAM FRAME_SIZE_ERROR", "GOAWAY FRAME_SIZE_ERROR"],
  },
  {
    name: "§4.2 HEADERS larger than MAX_FRAME_SIZE",
    send: ({ maxFrameSize }) => [headers(1, Buffer.concat([block, Buffer.alloc(maxFrameSize)]))],
    expects: "GOAWAY FRAME_SIZE_ERROR",
  },
  {
    name: "§4.2 an unknown frame larger than MAX_FRAME_SIZE",
    send: ({ maxFrameSize }) => [frame(0x42, 0, 0, Buffer.alloc(maxFrameSize + 1))],
    expects: "GOAWAY FRAME_SIZE_ERROR",
  },
  {
    name: "§4.2 a head that says 16 MiB of SETTINGS",
    send: [frame(SETTINGS, 0, 0, Buffer.alloc(0), 0xffffff)],
    expects: "GOAWAY FRAME_SIZE_ERROR",
  },
  {
    name: "§6.3 PRIORITY of 4 octets",
    send: [held(1), frame(PRIO, 0, 1, Buffer.alloc(4))],
    expects: ["RST_STREAM FRAME_SIZE_ERROR", "GOAWAY FRAME_SIZE_ERROR"],
  },
  {
    name: "§6.3 PRIORITY of 6 octets",
    send: [held(1), frame(PRIO, 0, 1, Buffer.alloc(6))],
    expects: ["RST_STREAM FRAME_SIZE_ERROR", "GOAWAY FRAME_SIZE_ERROR"],
  },
  { name: "§6.4 RST_STREAM of 3 octets", send: [held(1), frame(RST_STREAM, 0, 1, Buffer.alloc(3))], expects: "GOAWAY FRAME_SIZE_ERROR" },
  { name: "§6.4 RST_STREAM of 5 octets", send: [held(1), frame(RST_STREAM, 0, 1, Buffer.alloc(5))], expects: "GOAWAY FRAME_SIZE_ERROR" },
  { name: "§6.5 SETTINGS of 5 octets", send: [frame(SETTINGS, 0, 0, Buffer.alloc(5))], expects: "GOAWAY FRAME_SIZE_ERROR" },
  { name: "§6.5 SETTINGS of 7 octets", send: [frame(SETTINGS, 0, 0, Buffer.alloc(7))], expects: "GOAWAY FRAME_SIZE_ERROR" },
  {
    name: "§6.5 an acknowledgement of SETTINGS with parameters",
    send: [frame(SETTINGS, ACK, 0, Buffer.alloc(6))],
    expects: "GOAWAY FRAME_SIZE_ERROR",
  },
  { name: "§6.7 PING of 7 octets", send: [ping("1234567")], expects: "GOAWAY FRAME_SIZE_ERROR" },
  { name: "§6.7 PING of 9 octets", send: [ping("123456789")], expects: "GOAWAY FRAME_SIZE_ERROR" },
  { name: "§6.7 an empty PING", send: [ping("")], expects: "GOAWAY FRAME_SIZE_ERROR" },
  { name: "§6.8 GOAWAY of 7 octets", send: [frame(GOAWAY, 0, 0, Buffer.alloc(7))], expects: "GOAWAY FRAME_SIZE_ERROR" },
  { name: "§6.9 WINDOW_UPDATE of 3 octets", send: [frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))], expects: "GOAWAY FRAME_SIZE_ERROR" },
  {
    name: "§6.9 WINDOW_UPDATE of 5 octets on a stream",
    send: [held(1), frame(WINDOW_UPDATE, 0, 1, Buffer.alloc(5))],
    expects: "GOAWAY FRAME_SIZE_ERROR",
  },
  {
    name: "§6.2 HEADERS with a priority and room for none",
    send: [frame(HEADERS, PRIORITY | END_STREAM | END_HEADERS, 1, Buffer.alloc(4))],
    expects: ["GOAWAY FRAME_SIZE_ERROR", "GOAWAY PROTOCOL_ERROR"],
  },
  {
    name: "§6.2 padded HEADERS without an octet",
    send: [frame(HEADERS, PADDED | END_STREAM | END_HEADERS, 1)],
    expects: ["GOAWAY FRAME_SIZE_ERROR", "GOAWAY PROTOCOL_ERROR"],
  },
  {
    name: "§6.1 padded DATA without an octet",
    send: [post(1), frame(DATA, PADDED | END_STREAM, 1)],
    expects: ["GOAWAY FRAME_SIZE_ERROR", "GOAWAY PROTOCOL_ERROR", "RST_STREAM FRAME_SIZE_ERROR"],
  },
]

const padding: readonly FrameCase[] = [
  { name: "§6.1 padded DATA", send: [post(1), data(1, "hello", { pad: 10, end: true })], expects: "200", forwards: posted("hello") },
  {
    name: "§6.1 DATA with a padding of 0 octets",
    send: [post(1), data(1, "hello", { pad: 0, end: true })],
    expects: "200",
    forwards: posted("hello"),
  },
  {
    name: "§6.1 DATA with the longest padding",
    send: [post(1), data(1, "hello", { pad: 255, end: true })],
    expects: "200",
    forwards: posted("hello"),
  },
  {
    name: "§6.1 DATA that is padding alone",
    send: [post(1), data(1, "", { pad: 20 }), data(1, "x", { end: true })],
    expects: "200",
    forwards: posted("x"),
  },
  {
    name: "§6.1 padding as long as DATA",
    send: [post(1), frame(DATA, PADDED | END_STREAM, 1, Buffer.from([5, 1, 2, 3, 4]))],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§6.1 padding longer than DATA",
    send: [post(1), frame(DATA, PADDED | END_STREAM, 1, Buffer.from([200, 1, 2]))],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  { name: "§6.2 padded HEADERS", send: [headers(1, requestFields(), { pad: 30 })], expects: "200", forwards: ok },
  { name: "§6.2 HEADERS with priority", send: [headers(1, requestFields(), { priority: [0, 255, false] })], expects: "200", forwards: ok },
  {
    name: "§6.2 padded HEADERS with priority",
    send: [headers(1, requestFields(), { pad: 3, priority: [3, 0, true] })],
    expects: "200",
    forwards: ok,
  },
  {
    name: "§6.2 padding longer than HEADERS",
    send: [frame(HEADERS, PADDED | END_STREAM | END_HEADERS, 1, Buffer.concat([Buffer.from([block.length + 1]), block]))],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
]

const ids: readonly FrameCase[] = [
  { name: "§6.1 DATA on stream 0", send: [data(0, "x")], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.2 HEADERS on stream 0", send: [get(0)], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.3 PRIORITY on stream 0", send: [priority(0, 1)], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.4 RST_STREAM on stream 0", send: [rstStream(0, "CANCEL")], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.5 SETTINGS on a stream", send: [frame(SETTINGS, 0, 1)], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.7 PING on a stream", send: [frame(PING, 0, 1, Buffer.alloc(8))], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.8 GOAWAY on a stream", send: [frame(GOAWAY, 0, 1, Buffer.alloc(8))], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.10 CONTINUATION on stream 0", send: [frame(CONTINUATION, END_HEADERS, 0, block)], expects: "GOAWAY PROTOCOL_ERROR" },
  {
    name: "§8.4 PUSH_PROMISE from a client",
    send: [held(1), frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([words(2), block]))],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  { name: "§5.1.1 a request on an even stream", send: [get(2)], stream: 2, expects: "GOAWAY PROTOCOL_ERROR" },
  {
    name: "§5.1.1 a stream below one already used",
    send: [held(5), get(3)],
    stream: 3,
    expects: ["GOAWAY PROTOCOL_ERROR", "GOAWAY STREAM_CLOSED"],
  },
  { name: "§5.1.1 streams that were left out", send: [get(101)], stream: 101, expects: "200", forwards: ok },
]

const parts: readonly FrameCase[] = [
  {
    name: "§6.10 a header block in three frames",
    send: [
      headers(1, block.subarray(0, 7), { endHeaders: false }),
      continuation(1, block.subarray(7, 20), false),
      continuation(1, block.subarray(20)),
    ],
    expects: "200",
    forwards: ok,
  },
  {
    name: "§6.10 a header block in frames of one octet",
    send: [
      headers(1, block.subarray(0, 1), { endHeaders: false }),
      ...[...block.subarray(1, 8)].map((octet) => continuation(1, Buffer.from([octet]), false)),
      continuation(1, block.subarray(8)),
    ],
    expects: "200",
    forwards: ok,
  },
  {
    name: "§6.10 one empty CONTINUATION",
    send: [headers(1, block, { endHeaders: false }), continuation(1, Buffer.alloc(0))],
    expects: "200",
    forwards: ok,
  },
  {
    name: "§6.10 END_STREAM counts from HEADERS, with a body behind CONTINUATION",
    send: [
      headers(1, encodeFields(requestFields("/", "POST")).subarray(0, 9), { end: false, endHeaders: false }),
      continuation(1, encodeFields(requestFields("/", "POST")).subarray(9)),
      data(1, "body", { end: true }),
    ],
    expects: "200",
    forwards: posted("body"),
  },
  {
    name: "§6.10 CONTINUATION behind a whole block",
    send: [held(1), continuation(1, block)],
    expects: ["GOAWAY PROTOCOL_ERROR", "GOAWAY STREAM_CLOSED"],
  },
  { name: "§6.10 CONTINUATION behind DATA", send: [post(1), data(1, "x"), continuation(1, block)], expects: "GOAWAY PROTOCOL_ERROR" },
  {
    name: "§6.10 CONTINUATION of another stream",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), continuation(3, block.subarray(9))],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 DATA inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), data(1, "x")],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 HEADERS of another stream inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), get(3)],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 HEADERS of the same stream inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), get(1)],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 PRIORITY inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), priority(1, 0)],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 PING inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), ping("12345678")],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 SETTINGS inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), settings()],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 RST_STREAM inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), rstStream(1, "CANCEL")],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  {
    name: "§4.3 an unknown frame inside a header block",
    send: [headers(1, block.subarray(0, 9), { endHeaders: false }), frame(0x42, 0, 1)],
    expects: "GOAWAY PROTOCOL_ERROR",
  },
  { name: "§6.2 an empty header block", send: [headers(1, Buffer.alloc(0))], expects: malformed },
]

const settingsCases: readonly FrameCase[] = [
  { name: "§6.5.2 ENABLE_PUSH of 0", send: [settings([2, 0])], expects: "ignored" },
  { name: "§6.5.2 ENABLE_PUSH of 2", send: [settings([2, 2])], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.5.2 INITIAL_WINDOW_SIZE of 2^31 − 1", send: [settings([4, 0x7fffffff]), get(1)], expects: "200", forwards: ok },
  { name: "§6.5.2 INITIAL_WINDOW_SIZE of 2^31", send: [settings([4, 0x80000000])], expects: "GOAWAY FLOW_CONTROL_ERROR" },
  { name: "§6.5.2 INITIAL_WINDOW_SIZE of 2^32 − 1", send: [settings([4, 0xffffffff])], expects: "GOAWAY FLOW_CONTROL_ERROR" },
  { name: "§6.5.2 MAX_FRAME_SIZE of 16383", send: [settings([5, 16_383])], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.5.2 MAX_FRAME_SIZE of 0", send: [settings([5, 0])], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.5.2 MAX_FRAME_SIZE of 2^24", send: [settings([5, 2 ** 24])], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§6.5.2 MAX_FRAME_SIZE of 2^24 − 1", send: [settings([5, 2 ** 24 - 1]), get(1)], expects: "200", forwards: ok },
  { name: "§6.5.2 an unknown parameter", send: [settings([0xfefe, 0xffffffff], [0, 0], [7, 1]), get(1)], expects: "200", forwards: ok },
  { name: "§6.5.2 MAX_CONCURRENT_STREAMS of 0, which is about pushes", send: [settings([3, 0]), get(1)], expects: "200", forwards: ok },
  { name: "§6.5.2 every parameter twice", send: [settings([1, 0], [4, 1], [1, 4096], [4, 65_535]), get(1)], expects: "200", forwards: ok },
  { name: "§6.5.3 an acknowledgement of nothing", send: [frame(SETTINGS, ACK, 0)], expects: ["ignored", "GOAWAY PROTOCOL_ERROR"] },
  { name: "RFC 8441 §3 ENABLE_CONNECT_PROTOCOL of 2", send: [settings([8, 2])], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "RFC 8441 §3 ENABLE_CONNECT_PROTOCOL of 1 from a client", send: [settings([8, 1]), get(1)], expects: "200", forwards: ok },
  {
    name: "§6.9.2 INITIAL_WINDOW_SIZE that overflows a stream's window",
    send: [held(1), windowUpdate(1, 0x7fff0000), settings([4, 0x7fffffff])],
    expects: "GOAWAY FLOW_CONTROL_ERROR",
  },
]

const rest: readonly FrameCase[] = [
  { name: "§6.7 an answer to a PING that was never sent", send: [ping("abcdefgh", true)], expects: "ignored" },
  { name: "§6.8 GOAWAY with a request under way", send: [get(1), goaway(0, "NO_ERROR", "bye")], expects: "200", forwards: ok, last: true },
  { name: "§6.9 WINDOW_UPDATE of 0 on the connection", send: [windowUpdate(0, 0)], expects: "GOAWAY PROTOCOL_ERROR" },
  {
    name: "§6.9 WINDOW_UPDATE of 0 on a stream",
    send: [held(1), windowUpdate(1, 0)],
    expects: ["RST_STREAM PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"],
  },
  { name: "§6.9.1 the connection's window over 2^31 − 1", send: [windowUpdate(0, 0x7fffffff)], expects: "GOAWAY FLOW_CONTROL_ERROR" },
  {
    name: "§6.9.1 the connection's window over 2^31 − 1 in two steps",
    send: [windowUpdate(0, 0x40000000), windowUpdate(0, 0x40000000)],
    expects: "GOAWAY FLOW_CONTROL_ERROR",
  },
  {
    name: "§6.9.1 a stream's window over 2^31 − 1",
    send: [held(1), windowUpdate(1, 0x7fffffff)],
    expects: ["RST_STREAM FLOW_CONTROL_ERROR", "GOAWAY FLOW_CONTROL_ERROR"],
  },
  {
    name: "§6.9.1 windows of exactly 2^31 − 1",
    send: [windowUpdate(0, 0x7fff0000), get(1), windowUpdate(1, 0x7fff0000)],
    expects: "200",
    forwards: ok,
  },
  { name: "§7 an unknown error code in RST_STREAM", send: [held(1), frame(RST_STREAM, 0, 1, words(0xdeadbeef))], expects: "ignored" },
  {
    name: "§7 an unknown error code in GOAWAY",
    send: [get(1), frame(GOAWAY, 0, 0, words(0, 0xdeadbeef))],
    expects: ["200", "closed"],
    last: true,
  },
]

export const frameCases: readonly FrameCase[] = [...openings, ...unknown, ...sizes, ...padding, ...ids, ...parts, ...settingsCases, ...rest]
