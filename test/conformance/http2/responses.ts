// RFC 9113 from the other side: what a service may send as a response, and what the client of the gateway gets then. Strictness
// is that of requests: a response that is malformed is a 502, or one that is plainly cut short when its head has left already.

import {
  ACK,
  continuation,
  data,
  END_HEADERS,
  frame,
  frameTypes,
  goaway,
  headers,
  ping,
  priority,
  rstStream,
  settings,
  windowUpdate,
  words,
} from "../../support/h2-frames.ts"
import { encodeFields, type Field, huffmanLiteral, indexed, kept, tableSize } from "../../support/h2-hpack.ts"

export interface ResponseCase {
  readonly name: string
  /** Method of the request; default GET. */
  readonly method?: string
  /** What the service sends when the request on stream `id` is there. */
  readonly send: (id: number) => readonly Uint8Array[]
  /** The status the client gets. */
  readonly status: number
  readonly fields?: readonly string[]
  readonly body?: string
  readonly trailers?: readonly string[]
  /** Statuses of 1xx heads before it. */
  readonly interim?: readonly number[]
  /** The client sees a response that is cut short, or a 502 when nothing of it had left. */
  readonly truncated?: true
  /** How the gateway takes it: the connection goes on (default), or ends with a GOAWAY of its own. */
  readonly connection?: "ends"
}

const { DATA, HEADERS, SETTINGS, PUSH_PROMISE, PING, WINDOW_UPDATE } = frameTypes

function head(id: number, fields: readonly Field[] = [], end = false, status = "200"): Buffer {
  return headers(id, [[":status", status], ...fields], { end })
}

function whole(id: number, body = "answer", fields: readonly Field[] = []): Buffer[] {
  return [head(id, fields), data(id, body, { end: true })]
}

function malformed(name: string, fields: readonly Field[]): ResponseCase {
  return { name, send: (id) => [headers(id, fields, { end: true })], status: 502 }
}

function malformedField(name: string, ...fields: readonly Field[]): ResponseCase {
  return malformed(name, [[":status", "200"], ...fields])
}

function ends(name: string, send: ResponseCase["send"]): ResponseCase {
  return { name, send, status: 502, connection: "ends" }
}

const shapes: readonly ResponseCase[] = [
  { name: "§8.1 head and body", send: (id) => whole(id), status: 200, body: "answer" },
  { name: "§8.1 head alone", send: (id) => [head(id, [["x", "y"]], true)], status: 200, fields: ["x: y"], body: "" },
  {
    name: "§8.1 an empty frame at the end",
    send: (id) => [head(id), data(id, "answer"), data(id, "", { end: true })],
    status: 200,
    body: "answer",
  },
  {
    name: "§8.1 trailers",
    send: (id) => [head(id), data(id, "answer"), headers(id, [["x-sum", "1"]])],
    status: 200,
    body: "answer",
    trailers: ["x-sum: 1"],
  },
  {
    name: "§8.1 trailers without DATA",
    send: (id) => [head(id), headers(id, [["x-sum", "1"]])],
    status: 200,
    body: "",
    trailers: ["x-sum: 1"],
  },
  {
    name: "§8.1 1xx heads before the response",
    send: (id) => [head(id, [["link", "</a>"]], false, "103"), head(id, [["link", "</b>"]], false, "103"), ...whole(id)],
    status: 200,
    body: "answer",
    interim: [103, 103],
  },
  {
    name: "§8.1 padded frames",
    send: (id) => [headers(id, [[":status", "200"]], { end: false, pad: 9 }), data(id, "answer", { pad: 20, end: true })],
    status: 200,
    body: "answer",
  },
  {
    name: "§6.10 a head in CONTINUATION",
    send: (id) => {
      const block = encodeFields([
        [":status", "200"],
        ["x", "y"],
      ])
      return [
        headers(id, block.subarray(0, 5), { end: false, endHeaders: false }),
        continuation(id, block.subarray(5)),
        data(id, "answer", { end: true }),
      ]
    },
    status: 200,
    fields: ["x: y"],
    body: "answer",
  },
  {
    name: "RFC 7541 every form of a field",
    send: (id) => [
      headers(
        id,
        Buffer.concat([tableSize(0), tableSize(4096), indexed(8), kept(["x", "1"]), indexed(62), huffmanLiteral(["y", "Zz \xe9"])]),
      ),
    ],
    status: 200,
    fields: ["x: 1", "x: 1", "y: Zz \xe9"],
  },
  {
    name: "§8.2.1 obs-text in a value",
    send: (id) => whole(id, "answer", [["x", "\x80\xff"]]),
    status: 200,
    fields: ["x: \x80\xff"],
    body: "answer",
  },
  {
    name: "§8.1.1 content-length that is right",
    send: (id) => whole(id, "answer", [["content-length", "6"]]),
    status: 200,
    body: "answer",
  },
  {
    name: "§8.1.1 content-length of a response to HEAD",
    method: "HEAD",
    send: (id) => [head(id, [["content-length", "600"]], true)],
    status: 200,
    body: "",
  },
  { name: "§8.1.1 a 304 with content-length", send: (id) => [head(id, [["content-length", "600"]], true, "304")], status: 304, body: "" },
  { name: "§8.1 a 204", send: (id) => [head(id, [], true, "204")], status: 204, body: "" },
  {
    name: "§8.1 a whole response before RST_STREAM NO_ERROR",
    send: (id) => [...whole(id), rstStream(id, "NO_ERROR")],
    status: 200,
    body: "answer",
  },
]

const ignored: readonly ResponseCase[] = [
  {
    name: "§5.5 unknown frames around the response",
    send: (id) => [frame(0x42, 0xff, 0, Buffer.alloc(9)), frame(0x42, 0xff, id), ...whole(id)],
    status: 200,
    body: "answer",
  },
  { name: "§6.7 PING before the response", send: (id) => [ping("12345678"), ...whole(id)], status: 200, body: "answer" },
  { name: "§6.3 PRIORITY before the response", send: (id) => [priority(id, 0), ...whole(id)], status: 200, body: "answer" },
  {
    name: "§6.5 SETTINGS before the response",
    send: (id) => [settings([4, 100_000], [0x99, 1]), ...whole(id)],
    status: 200,
    body: "answer",
  },
  {
    name: "§6.9 WINDOW_UPDATE before the response",
    send: (id) => [windowUpdate(0, 1000), windowUpdate(id, 1000), ...whole(id)],
    status: 200,
    body: "answer",
  },
  { name: "§6.9 WINDOW_UPDATE behind the response", send: (id) => [...whole(id), windowUpdate(id, 1000)], status: 200, body: "answer" },
]

const bad: readonly ResponseCase[] = [
  malformed("§8.3.2 no :status", [["x", "y"]]),
  malformed("§8.3.2 :status twice", [
    [":status", "200"],
    [":status", "200"],
  ]),
  malformed("§8.3.2 :status of two digits", [[":status", "20"]]),
  malformed("§8.3.2 :status of four digits", [[":status", "2000"]]),
  malformed("§8.3.2 :status that is no number", [[":status", "2xx"]]),
  malformed("§8.3.2 an empty :status", [[":status", ""]]),
  malformed("§8.3.2 a pseudo-header field of requests", [
    [":status", "200"],
    [":path", "/"],
  ]),
  malformed("§8.3 :status behind a field", [
    ["x", "y"],
    [":status", "200"],
  ]),
  malformed("§8.6 101", [[":status", "101"]]),
  malformed("§8.1 a 1xx head that ends the stream", [[":status", "103"]]),
  malformedField("§8.2 a name in upper case", ["X-Test", "y"]),
  malformedField("§8.2.1 an empty name", ["", "y"]),
  malformedField("§8.2.1 a name with a space", ["x y", "z"]),
  malformedField("§8.2.1 a value with a line break", ["x", "a\r\nset-cookie: b=c"]),
  malformedField("§8.2.1 a value with NUL", ["x", "a\0"]),
  malformedField("§8.2.2 connection", ["connection", "close"]),
  malformedField("§8.2.2 transfer-encoding", ["transfer-encoding", "chunked"]),
  malformedField("§8.2.2 keep-alive", ["keep-alive", "timeout=5"]),
  malformedField("§8.2.2 upgrade", ["upgrade", "websocket"]),
  malformedField("§8.1.1 content-length twice", ["content-length", "0"], ["content-length", "0"]),
  malformedField("§8.1.1 content-length that is no number", ["content-length", "x"]),
  malformedField("§8.1.1 content-length of a response that ends with its head", ["content-length", "5"]),
  { name: "§8.1 DATA before the head", send: (id) => [data(id, "x", { end: true })], status: 502 },
  {
    name: "§6.4 RST_STREAM instead of a response to what can't be repeated",
    method: "POST",
    send: (id) => [rstStream(id, "INTERNAL_ERROR")],
    status: 502,
  },
  {
    name: "§8.1.1 a body longer than content-length",
    send: (id) => [head(id, [["content-length", "3"]]), data(id, "answer", { end: true })],
    status: 200,
    truncated: true,
  },
  {
    name: "§8.1.1 a body shorter than content-length",
    send: (id) => [head(id, [["content-length", "9"]]), data(id, "answer", { end: true })],
    status: 200,
    truncated: true,
  },
  {
    name: "§6.4 RST_STREAM inside the body",
    send: (id) => [head(id), data(id, "part"), rstStream(id, "INTERNAL_ERROR")],
    status: 200,
    truncated: true,
  },
  {
    name: "§6.4 RST_STREAM NO_ERROR inside the body",
    send: (id) => [head(id), data(id, "part"), rstStream(id, "NO_ERROR")],
    status: 200,
    truncated: true,
  },
  {
    name: "§6.4 RST_STREAM CANCEL inside the body",
    send: (id) => [head(id, [["content-length", "10"]]), data(id, "part"), rstStream(id, "CANCEL")],
    status: 200,
    truncated: true,
  },
  {
    name: "§8.1 trailers that don't end the stream",
    send: (id) => [head(id), data(id, "part"), headers(id, [["x", "y"]], { end: false })],
    status: 200,
    truncated: true,
  },
  {
    name: "§8.1 trailers with :status",
    send: (id) => [head(id), data(id, "part"), headers(id, [[":status", "200"]])],
    status: 200,
    truncated: true,
  },
  {
    name: "§8.1 trailers with a line break",
    send: (id) => [head(id), data(id, "part"), headers(id, [["x", "a\r\n\r\n"]])],
    status: 200,
    truncated: true,
  },
]

const fatal: readonly ResponseCase[] = [
  ends("§4.3 a block that can't be decoded", (id) => [headers(id, indexed(99))]),
  ends("RFC 7541 §6.3 a table size over the limit", (id) => [headers(id, Buffer.concat([tableSize(1_000_000), indexed(8)]))]),
  ends("§4.2 a frame larger than MAX_FRAME_SIZE", (id) => [frame(DATA, 0, id, Buffer.alloc(0), 0xffffff)]),
  ends("§6.10 a header block that another frame interrupts", (id) => [headers(id, indexed(8), { endHeaders: false }), ping("12345678")]),
  ends("§6.5 SETTINGS of 5 octets", () => [frame(SETTINGS, 0, 0, Buffer.alloc(5))]),
  ends("§6.5.3 an acknowledgement with parameters", () => [frame(SETTINGS, ACK, 0, Buffer.alloc(6))]),
  ends("§6.5.2 INITIAL_WINDOW_SIZE of 2^31", () => [settings([4, 0x80000000])]),
  ends("§6.5.2 ENABLE_PUSH of 1 from a server", () => [settings([2, 1])]),
  ends("§6.7 PING on a stream", (id) => [frame(PING, 0, id, Buffer.alloc(8))]),
  ends("§6.9 WINDOW_UPDATE of 0 on the connection", () => [frame(WINDOW_UPDATE, 0, 0, words(0))]),
  ends("§6.9.1 the connection's window over 2^31 − 1", () => [windowUpdate(0, 0x7fffffff)]),
  ends("§8.4 PUSH_PROMISE, which the gateway has forbidden", (id) => [
    frame(PUSH_PROMISE, END_HEADERS, id, Buffer.concat([words(2), encodeFields([[":method", "GET"]])])),
  ]),
  ends("§5.1.1 HEADERS on a stream the gateway never opened", (id) => [head(id + 100, [], true)]),
  ends("§5.1 DATA on a stream that nobody opened", () => [data(2, "x")]),
  ends("§6.1 DATA on stream 0", () => [data(0, "x")]),
  ends("§6.2 HEADERS on stream 0", () => [frame(HEADERS, END_HEADERS, 0, indexed(8))]),
  {
    name: "§6.8 GOAWAY of a server that has processed nothing: the request is sent again elsewhere",
    send: () => [goaway(0, "INTERNAL_ERROR")],
    status: 200,
    body: "probe",
    connection: "ends",
  },
]

export const responseCases: readonly ResponseCase[] = [...shapes, ...ignored, ...bad, ...fatal]
