// Responses of a service, and what the client must receive of them (RFC 9112 and RFC 9110).

import type { ResponseCase } from "./case.ts"

function refused(cases: Readonly<Record<string, string>>): ResponseCase[] {
  return Object.entries(cases).map(([name, send]) => ({ name, send, reused: false }))
}

/** A 200 with these lines, each ended by CRLF, and a body. */
function ok(lines: readonly string[], body = ""): string {
  return `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`
}

function chunked(body: string): string {
  return ok(["Transfer-Encoding: chunked"], body)
}

/** Fields that pass, in a response without a body. */
function passes(name: string, lines: readonly string[], fields: readonly string[]): ResponseCase {
  return {
    name,
    send: ok([...lines, "Content-Length: 0"]),
    gives: { line: "HTTP/1.1 200 OK", fields: [...fields, "content-length: 0"] },
    reused: true,
  }
}

const chunkedHello = { line: "HTTP/1.1 200 OK", fields: ["transfer-encoding: chunked"], body: "hello" }
const five = { line: "HTTP/1.1 200 OK", fields: ["content-length: 5"], body: "hello" }
const octets = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("")
const next = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

export const responses: readonly ResponseCase[] = [
  // Refused: 502.
  ...refused({
    "status line: HTTP/0.9": "hello\r\n\r\n",
    "status line: bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "status line: bare CR": "HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n",
    "status line: empty line before it": "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: white space before it": " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: version 1.2": "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: version 2.0": "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: version of two digits": "HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: lower case": "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: another protocol": "ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: two spaces": "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: tab": "HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: no status": "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: version alone": "HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "status line: two digits": "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: four digits": "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: letters": "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: minus": "HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: 000": "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: 600": "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "status line: NUL in the reason": "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
    "status line: control in the reason": "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
    "status line: too long": `HTTP/1.1 200 ${"a".repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`,
    "field: bare LF": ok(["A: 1\nB: 2", "Content-Length: 0"]),
    "field: bare CR": ok(["A: 1\rB: 2", "Content-Length: 0"]),
    "field: NUL": ok(["A: 1\0", "Content-Length: 0"]),
    "field: control": ok(["A: 1\x02", "Content-Length: 0"]),
    "field: DEL": ok(["A: \x7f", "Content-Length: 0"]),
    "field: space before the colon": ok(["A : 1", "Content-Length: 0"]),
    "field: space before the colon of Content-Length": ok(["Content-Length : 0"]),
    "field: no colon": ok(["A", "Content-Length: 0"]),
    "field: no name": ok([": 1", "Content-Length: 0"]),
    "field: name with a space": ok(["A B: 1", "Content-Length: 0"]),
    "field: folded": ok(["A: 1", " 2", "Content-Length: 0"]),
    "field: white space before the first": ok([" A: 1", "Content-Length: 0"]),
    "field: bare LF for the empty line": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
    "head: over 64 KiB": ok([`A: ${"a".repeat(70_000)}`, "Content-Length: 0"]),
    "head: 201 fields": ok([...Array.from({ length: 200 }, (_, i) => `X-${i}: 1`), "Content-Length: 0"]),
    "content-length: twice, unlike": ok(["Content-Length: 5", "Content-Length: 6"], "hello"),
    "content-length: twice, alike": ok(["Content-Length: 5", "Content-Length: 5"], "hello"),
    "content-length: list": ok(["Content-Length: 5, 5"], "hello"),
    "content-length: plus": ok(["Content-Length: +5"], "hello"),
    "content-length: minus": ok(["Content-Length: -5"], "hello"),
    "content-length: hexadecimal": ok(["Content-Length: 0x5"], "hello"),
    "content-length: empty": ok(["Content-Length:"], "hello"),
    "content-length: 2^53": ok(["Content-Length: 9007199254740992"]),
    "content-length: twice in a 304": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "smuggling: CL and TE": ok(["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
    "smuggling: TE and CL": ok(["Transfer-Encoding: chunked", "Content-Length: 5"], "5\r\nhello\r\n0\r\n\r\n"),
    "transfer-encoding: twice": ok(["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
    "transfer-encoding: gzip": ok(["Transfer-Encoding: gzip"], "hello"),
    "transfer-encoding: gzip, chunked": ok(["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"),
    "transfer-encoding: chunked, chunked": ok(["Transfer-Encoding: chunked, chunked"], "0\r\n\r\n"),
    "transfer-encoding: identity": ok(["Transfer-Encoding: identity"], "hello"),
    "transfer-encoding: empty": ok(["Transfer-Encoding:"], "hello"),
    "transfer-encoding: vertical tab": ok(["Transfer-Encoding: \x0bchunked"], "0\r\n\r\n"),
    "transfer-encoding: on HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "connection: names Content-Length": ok(["Content-Length: 5", "Connection: content-length"], "hello"),
    "connection: names Set-Cookie": ok(["Content-Length: 0", "Connection: set-cookie", "Set-Cookie: a=b"]),
    "upgrade: 101 that nothing asked for": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "interim: 17 of them": `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17)}${ok(["Content-Length: 0"])}`,
    "interim: broken": `HTTP/1.1 103 Early Hints\r\nA : 1\r\n\r\n${ok(["Content-Length: 0"])}`,
  }),
  { name: "no response at all", send: "", end: true, reused: false },
  { name: "end in the status line", send: "HTTP/1.1 20", end: true, reused: false },
  { name: "end in the head", send: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", end: true, reused: false },
  // Bodies (RFC 9112 §6.3).
  { name: "content-length: a body", send: ok(["Content-Length: 5"], "hello"), gives: five, reused: true },
  { name: "content-length: nought", send: ok(["Content-Length: 0"]), gives: { line: five.line, fields: ["content-length: 0"] }, reused: true },
  {
    name: "content-length: every octet",
    send: ok(["Content-Length: 256"], octets),
    gives: { line: "HTTP/1.1 200 OK", fields: ["content-length: 256"], body: octets },
    reused: true,
  },
  {
    name: "content-length: 200 000 octets",
    send: ok(["Content-Length: 200000"], "b".repeat(200_000)),
    gives: { line: "HTTP/1.1 200 OK", fields: ["content-length: 200000"], body: "b".repeat(200_000) },
    reused: true,
  },
  { name: "content-length: cut short", send: ok(["Content-Length: 6"], "hello"), end: true, gives: { ...five, fields: ["content-length: 6"] }, truncated: true, reused: false },
  { name: "content-length: no body at all", send: ok(["Content-Length: 6"]), end: true, gives: { line: five.line, fields: ["content-length: 6"] }, truncated: true, reused: false },
  { name: "content-length: bytes after it", send: ok(["Content-Length: 5"], `hello${next}`), gives: five, reused: false },
  { name: "content-length: a byte after it", send: ok(["Content-Length: 5"], "hello\n"), gives: five, reused: false },
  { name: "content-length: end after it", send: ok(["Content-Length: 5"], "hello"), end: true, gives: five, reused: false },
  { name: "chunked: one chunk", send: chunked("5\r\nhello\r\n0\r\n\r\n"), gives: chunkedHello, reused: true },
  { name: "chunked: no data", send: chunked("0\r\n\r\n"), gives: { ...chunkedHello, body: "" }, reused: true },
  { name: "chunked: several chunks, extensions, odd sizes", send: chunked("2;a=b\r\nhe\r\n02\r\nll\r\n1\r\no\r\n00;x\r\n\r\n"), gives: chunkedHello, reused: true },
  { name: "chunked: trailers", send: chunked("5\r\nhello\r\n0\r\nGrpc-Status: 0\r\nGrpc-Message: \xe4\r\n\r\n"), gives: { ...chunkedHello, trailers: ["grpc-status: 0", "grpc-message: \xe4"] }, reused: true },
  { name: "chunked: upper-case coding", send: ok(["Transfer-Encoding: CHUNKED"], "5\r\nhello\r\n0\r\n\r\n"), gives: chunkedHello, reused: true },
  {
    name: "chunked: 300 000 octets",
    send: chunked(`${`8000\r\n${"c".repeat(0x8000)}\r\n`.repeat(9)}0\r\n\r\n`),
    gives: { ...chunkedHello, body: "c".repeat(0x8000 * 9) },
    reused: true,
  },
  { name: "chunked: cut short in data", send: chunked("5\r\nhel"), end: true, gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: cut short in a size", send: chunked("5\r\nhello\r\n5"), end: true, gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: cut short before the last chunk", send: chunked("5\r\nhello\r\n"), end: true, gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: cut short before the empty line", send: chunked("5\r\nhello\r\n0\r\n"), end: true, gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: cut short in a trailer", send: chunked("5\r\nhello\r\n0\r\nX: 1\r\n"), end: true, gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: bytes after it", send: chunked(`5\r\nhello\r\n0\r\n\r\n${next}`), gives: chunkedHello, reused: false },
  { name: "chunked: broken size", send: chunked("5\r\nhello\r\nx\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: negative size", send: chunked("5\r\nhello\r\n-1\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: size with 0x", send: chunked("5\r\nhello\r\n0x1\r\na\r\n0\r\n\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: size beyond 2^64", send: chunked("5\r\nhello\r\n10000000000000001\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: words after data", send: chunked("5\r\nhello!\r\n0\r\n\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: bare LF after data", send: chunked("5\r\nhello\n0\r\n\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: trailer Content-Length", send: chunked("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "chunked: trailer Set-Cookie", send: chunked("5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\n\r\n"), gives: chunkedHello, truncated: true, reused: false },
  { name: "close-delimited: a body", send: ok([], "hello"), end: true, gives: chunkedHello, reused: false },
  { name: "close-delimited: no data", send: ok([]), end: true, gives: { ...chunkedHello, body: "" }, reused: false },
  { name: "close-delimited: keep-alive means nothing", send: ok(["Connection: keep-alive"], "hello"), end: true, gives: chunkedHello, reused: false },
  { name: "close-delimited: HTTP/1.0", send: "HTTP/1.0 200 OK\r\n\r\nhello", end: true, gives: chunkedHello, reused: false },
  { name: "close-delimited: to a client of HTTP/1.0", request: "GET / HTTP/1.0", send: ok([], "hello"), end: true, gives: { line: "HTTP/1.1 200 OK", fields: ["connection: close"], body: "hello" }, reused: false },
  { name: "chunked: to a client of HTTP/1.0", request: "GET / HTTP/1.0", send: chunked("5;x\r\nhello\r\n0\r\nX: 1\r\n\r\n"), gives: { line: "HTTP/1.1 200 OK", fields: ["connection: close"], body: "hello" }, reused: true },
  { name: "chunked: cut short, to a client of HTTP/1.0", request: "GET / HTTP/1.0", send: chunked("5\r\nhello\r\n"), end: true, gives: { line: "HTTP/1.1 200 OK", fields: ["connection: close"], body: "hello" }, truncated: true, reused: false },
  // No body, whatever the fields say (RFC 9112 §6.3 (1)).
  { name: "no body: 204", send: "HTTP/1.1 204 No Content\r\n\r\n", gives: { line: "HTTP/1.1 204 No Content", fields: [] }, reused: true },
  { name: "no body: 204 with a length", send: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nA: 1\r\n\r\n", gives: { line: "HTTP/1.1 204 No Content", fields: ["a: 1"] }, reused: true },
  { name: "no body: 204 that says chunked", send: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", gives: { line: "HTTP/1.1 204 No Content", fields: [] }, reused: true },
  { name: "no body: 204 with one", send: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", gives: { line: "HTTP/1.1 204 No Content", fields: [] }, reused: false },
  { name: "no body: 304 keeps its length", send: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: a\r\n\r\n", gives: { line: "HTTP/1.1 304 Not Modified", fields: ["content-length: 5", "etag: a"] }, reused: true },
  { name: "no body: 304 with one", send: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", gives: { line: "HTTP/1.1 304 Not Modified", fields: ["content-length: 5"] }, reused: false },
  { name: "no body: HEAD keeps the length", request: "HEAD / HTTP/1.1", send: ok(["Content-Length: 5"]), gives: { line: "HTTP/1.1 200 OK", fields: ["content-length: 5"] }, reused: true },
  { name: "no body: HEAD with chunked", request: "HEAD / HTTP/1.1", send: chunked(""), gives: { line: "HTTP/1.1 200 OK", fields: [] }, reused: true },
  { name: "no body: HEAD without a length", request: "HEAD / HTTP/1.1", send: ok(["A: 1"]), gives: { line: "HTTP/1.1 200 OK", fields: ["a: 1"] }, reused: true },
  { name: "no body: HEAD with one", request: "HEAD / HTTP/1.1", send: ok(["Content-Length: 5"], "hello"), gives: { line: "HTTP/1.1 200 OK", fields: ["content-length: 5"] }, reused: false },
  { name: "a body: 404 to GET", send: "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", gives: { line: "HTTP/1.1 404 Not Found", fields: ["content-length: 2"], body: "no" }, reused: true },
  // Heads.
  { name: "status: no reason", send: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", gives: { line: "HTTP/1.1 200 OK", fields: ["content-length: 0"] }, reused: true },
  { name: "status: no reason and no space", send: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", gives: { line: "HTTP/1.1 200 OK", fields: ["content-length: 0"] }, reused: true },
  { name: "status: a reason of its own, obs-text and tabs", send: "HTTP/1.1 299 f\xfcr\talle \r\nContent-Length: 0\r\n\r\n", gives: { line: "HTTP/1.1 299 f\xfcr\talle ", fields: ["content-length: 0"] }, reused: true },
  { name: "status: unknown in its class", send: "HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n", gives: { line: "HTTP/1.1 599 x", fields: ["content-length: 0"] }, reused: true },
  passes("fields: order and repeats", ["B: 1", "a: 2", "B: 3"], ["b: 1", "a: 2", "b: 3"]),
  passes("fields: cookies stay apart", ["Set-Cookie: a=1, b", "Set-Cookie: a=1, b", "X: y", "set-cookie: c"], ["set-cookie: a=1, b", "set-cookie: a=1, b", "x: y", "set-cookie: c"]),
  passes("fields: obs-text", ["A: \x80\xe4\xff"], ["a: \x80\xe4\xff"]),
  passes("fields: white space and empty values", ["A:1", "B:\t 2 \t", "C:"], ["a: 1", "b: 2", "c: "]),
  passes("fields: 199 beside the length", Array.from({ length: 199 }, (_, i) => `x-${i}: 1`), Array.from({ length: 199 }, (_, i) => `x-${i}: 1`)),
  passes("fields: one of 60 000 octets", [`A: ${"a".repeat(60_000)}`], [`a: ${"a".repeat(60_000)}`]),
  passes("fields: server and date pass", ["Server: x", "Date: Thu, 01 Jan 1970 00:00:00 GMT"], ["server: x", "date: Thu, 01 Jan 1970 00:00:00 GMT"]),
  passes("hop by hop: all of them", ["Keep-Alive: timeout=50, max=10", "Proxy-Connection: x", "TE: trailers", "Upgrade: h2c", "Connection: keep-alive", "A: 1"], ["a: 1"]),
  passes("hop by hop: what Connection names", ["Connection: b", "A: 1", "B: 2"], ["a: 1"]),
  passes("hop by hop: Trailer stays", ["Trailer: x"], ["trailer: x"]),
  { name: "persistence: close", send: ok(["Content-Length: 5", "Connection: close"], "hello"), gives: five, reused: false },
  { name: "persistence: close in a list", send: ok(["Content-Length: 5", "Connection: x, Close"], "hello"), gives: five, reused: false },
  { name: "persistence: HTTP/1.0", send: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", gives: five, reused: false },
  { name: "persistence: HTTP/1.0 with keep-alive", send: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", gives: five, reused: true },
  // 1xx (RFC 9110 §15.2).
  { name: "interim: 103", send: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n${ok(["Content-Length: 5"], "hello")}`, interim: [["HTTP/1.1 103 Early Hints", "link: </a>", "link: </b>"]], gives: five, reused: true },
  { name: "interim: several", send: `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: 2\r\n\r\n${ok(["Content-Length: 5"], "hello")}`, interim: [["HTTP/1.1 102 Processing"], ["HTTP/1.1 103 Early Hints", "a: 1"], ["HTTP/1.1 103 Early Hints", "a: 2"]], gives: five, reused: true },
  { name: "interim: 16 of them", send: `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(16)}${ok(["Content-Length: 5"], "hello")}`, interim: Array.from({ length: 16 }, () => ["HTTP/1.1 103 Early Hints"]), gives: five, reused: true },
  { name: "interim: has no body", send: `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n${ok(["Content-Length: 5"], "hello")}`, interim: [["HTTP/1.1 103 Early Hints"]], gives: five, reused: true },
  { name: "interim: its connection fields are its own", send: `HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${ok(["Content-Length: 5"], "hello")}`, interim: [["HTTP/1.1 103 Early Hints"]], gives: five, reused: true },
  { name: "interim: none to a client of HTTP/1.0", request: "GET / HTTP/1.0", send: `HTTP/1.1 103 Early Hints\r\n\r\n${ok(["Content-Length: 5"], "hello")}`, gives: { line: "HTTP/1.1 200 OK", fields: ["content-length: 5", "connection: close"], body: "hello" }, reused: true },
  { name: "interim: end after one", send: "HTTP/1.1 103 Early Hints\r\n\r\n", end: true, interim: [["HTTP/1.1 103 Early Hints"]], reused: false },
]
