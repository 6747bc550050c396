// RFC 9113 §5.1, §5.3: what may come in which state of a stream.

import { requestFields } from "../../support/h2-client.ts"
import { continuation, data, headers, priority, rstStream, windowUpdate } from "../../support/h2-frames.ts"
import { encodeFields } from "../../support/h2-hpack.ts"
import { closedStream, type FrameCase, get, held, malformed, post } from "./case.ts"

const ok = { line: "GET / HTTP/1.1" }
const block = encodeFields(requestFields())

export const streamCases: readonly FrameCase[] = [
  { name: "§5.1 idle: DATA", send: [data(1, "x", { end: true })], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§5.1 idle: RST_STREAM", send: [rstStream(1, "CANCEL")], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§5.1 idle: WINDOW_UPDATE", send: [windowUpdate(1, 100)], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§5.1 idle: CONTINUATION", send: [continuation(1, block)], expects: "GOAWAY PROTOCOL_ERROR" },
  { name: "§5.1 idle: PRIORITY, and the stream opened after it", send: [priority(1, 0, 200), get(1)], expects: "200", forwards: ok },
  { name: "§5.1 idle: an even stream's WINDOW_UPDATE", send: [windowUpdate(2, 100)], expects: "GOAWAY PROTOCOL_ERROR" },

  {
    name: "§5.1 open: PRIORITY, WINDOW_UPDATE and DATA",
    send: [post(1), priority(1, 0), windowUpdate(1, 10), data(1, "x", { end: true })],
    expects: "200",
    forwards: { line: "POST / HTTP/1.1", body: "x" },
  },

  { name: "§5.1 half-closed: DATA", send: [held(1), data(1, "x", { end: true })], expects: closedStream },
  { name: "§5.1 half-closed: empty DATA", send: [held(1), data(1, "", { end: true })], expects: closedStream },
  { name: "§5.1 half-closed: HEADERS", send: [held(1), headers(1, [["x", "y"]])], expects: closedStream },
  { name: "§5.1 half-closed: HEADERS of a second request", send: [held(1), get(1)], expects: closedStream },
  {
    name: "§5.1 half-closed: CONTINUATION",
    send: [held(1), continuation(1, block)],
    expects: ["GOAWAY PROTOCOL_ERROR", "GOAWAY STREAM_CLOSED"],
  },
  {
    name: "§5.1 half-closed: WINDOW_UPDATE and PRIORITY",
    send: [get(1), windowUpdate(1, 10), priority(1, 0)],
    expects: "200",
    forwards: ok,
  },
  { name: "§5.1 half-closed: RST_STREAM", send: [held(1), rstStream(1, "CANCEL")], expects: "ignored" },

  { name: "§5.1 reset: DATA", send: [post(1, [], "/hold"), rstStream(1, "CANCEL"), data(1, "x")], expects: closedStream },
  {
    name: "§5.1 reset: HEADERS",
    send: [post(1, [], "/hold"), rstStream(1, "CANCEL"), headers(1, [["x", "y"]])],
    expects: [...closedStream, "GOAWAY PROTOCOL_ERROR"],
  },
  {
    name: "§5.1 reset: CONTINUATION",
    send: [held(1), rstStream(1, "CANCEL"), continuation(1, block)],
    expects: ["GOAWAY PROTOCOL_ERROR", "GOAWAY STREAM_CLOSED"],
  },
  { name: "§5.1 reset: PRIORITY", send: [held(1), rstStream(1, "CANCEL"), priority(1, 0)], expects: "ignored" },
  { name: "§5.1 reset: WINDOW_UPDATE", send: [held(1), rstStream(1, "CANCEL"), windowUpdate(1, 1)], expects: ["ignored", ...closedStream] },
  {
    name: "§5.1 reset: a second RST_STREAM",
    send: [held(1), rstStream(1, "CANCEL"), rstStream(1, "CANCEL")],
    expects: ["ignored", ...closedStream],
  },

  { name: "§5.1 closed: DATA", send: [get(1)], later: [data(1, "x")], expects: closedStream },
  { name: "§5.1 closed: HEADERS", send: [get(1)], later: [headers(1, [["x", "y"]])], expects: [...closedStream, "GOAWAY PROTOCOL_ERROR"] },
  { name: "§5.1 closed: a second request", send: [get(1)], later: [get(1)], expects: [...closedStream, "GOAWAY PROTOCOL_ERROR"] },
  {
    name: "§5.1 closed: CONTINUATION",
    send: [get(1)],
    later: [continuation(1, block)],
    expects: ["GOAWAY PROTOCOL_ERROR", "GOAWAY STREAM_CLOSED"],
  },
  { name: "§5.1 closed: PRIORITY", send: [get(1)], later: [priority(1, 0)], expects: "ignored" },
  {
    name: "§5.1 closed: WINDOW_UPDATE and RST_STREAM, which may have crossed the end",
    send: [get(1)],
    later: [windowUpdate(1, 10), rstStream(1, "NO_ERROR")],
    expects: "ignored",
  },
  {
    name: "§5.1.1 a stream below, closed by being left out",
    send: [get(5)],
    stream: 5,
    later: [data(3, "x")],
    expects: ["ignored", ...closedStream, "GOAWAY PROTOCOL_ERROR"],
  },

  // RFC 7540 §5.3.1 made it a stream error; RFC 9113 has no priorities any more.
  {
    name: "§5.3 PRIORITY that depends on itself",
    send: [held(1), priority(1, 1)],
    expects: ["ignored", "RST_STREAM PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"],
  },
  {
    name: "§5.3 HEADERS that depend on themselves",
    send: [headers(1, requestFields(), { priority: [1, 15, false] })],
    expects: ["200", "RST_STREAM PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"],
  },
  { name: "§5.3 PRIORITY of a stream far ahead", send: [priority(9999, 7, 0, true), get(1)], expects: "200", forwards: ok },

  {
    name: "§8.1 trailers",
    send: [post(1, [["te", "trailers"]]), data(1, "body"), headers(1, [["x-sum", "abc"]])],
    expects: "200",
    forwards: { line: "POST / HTTP/1.1", fields: ["te: trailers"], body: "body", trailers: ["x-sum: abc"] },
  },
  {
    name: "§8.1 trailers without DATA",
    send: [post(1), headers(1, [["x-sum", "abc"]])],
    expects: "200",
    forwards: { line: "POST / HTTP/1.1", trailers: ["x-sum: abc"] },
  },
  {
    name: "§8.1 trailers that don't end the stream",
    send: [post(1), data(1, "body"), headers(1, [["x", "y"]], { end: false })],
    expects: malformed,
  },
  { name: "§8.1 DATA behind trailers", send: [post(1, [], "/hold"), headers(1, [["x", "y"]]), data(1, "x")], expects: closedStream },
  { name: "§8.1 trailers with a pseudo-header field", send: [post(1), data(1, "b"), headers(1, [[":path", "/"]])], expects: malformed },
  { name: "§8.1 trailers with :status", send: [post(1), data(1, "b"), headers(1, [[":status", "200"]])], expects: malformed },
  { name: "§8.1 trailers with an upper-case name", send: [post(1), data(1, "b"), headers(1, [["X-Sum", "y"]])], expects: malformed },
  {
    name: "§8.1 trailers with a connection-specific field",
    send: [post(1), data(1, "b"), headers(1, [["connection", "close"]])],
    expects: malformed,
  },
  { name: "§8.1 trailers with framing", send: [post(1), data(1, "b"), headers(1, [["content-length", "1"]])], expects: malformed },
  {
    name: "§8.1 trailers with line breaks in a value",
    send: [post(1), data(1, "b"), headers(1, [["x", "a\r\nb: c"]])],
    expects: malformed,
  },
  {
    name: "§8.1 a body in many frames, some of them empty",
    send: [post(1), ...[..."many frames"].flatMap((letter) => [data(1, letter), data(1, "")]), data(1, "", { end: true })],
    expects: "200",
    forwards: { line: "POST / HTTP/1.1", body: "many frames" },
  },
  {
    name: "§8.1 a request without a body, ended by empty DATA",
    send: [post(1), data(1, "", { end: true })],
    expects: "200",
    forwards: { line: "POST / HTTP/1.1" },
  },
]
