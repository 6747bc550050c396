// Requests that must pass, and what the service must receive of them (RFC 9112 and RFC 9110).

import type { Forwarded, RequestCase } from "./case.ts"

/** A request with these lines after its request line, each ended by CRLF, and a body. */
function message(line: string, lines: readonly string[], body = ""): string {
  return `${line}\r\n${lines.map((field) => `${field}\r\n`).join("")}\r\n${body}`
}

/** A GET that passes with `fields`, which are what becomes of `lines`. */
function get(name: string, lines: readonly string[], fields: readonly string[]): RequestCase {
  return {
    name,
    send: message("GET /x HTTP/1.1", ["Host: a", ...lines]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a", ...fields] }],
    after: "kept",
  }
}

/** A GET of `target` that the service receives as `path`. */
function target(name: string, given: string, path: string): RequestCase {
  return {
    name,
    send: message(`GET ${given} HTTP/1.1`, ["Host: a"]),
    forwards: [{ line: `GET ${path} HTTP/1.1`, fields: ["host: a"] }],
    after: "kept",
  }
}

function host(name: string, value: string): RequestCase {
  return {
    name,
    send: message("GET /x HTTP/1.1", [`Host: ${value}`]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: [`host: ${value}`] }],
    after: "kept",
  }
}

function method(name: string): RequestCase {
  return {
    name: `method: ${name}`,
    send: message(`${name} /x HTTP/1.1`, ["Host: a"]),
    forwards: [{ line: `${name} /x HTTP/1.1`, fields: ["host: a"] }],
    after: "kept",
  }
}

/** A POST in chunked coding. */
function chunked(name: string, wire: string, body: string, trailers?: readonly string[]): RequestCase {
  const forwarded: Forwarded = { line: "POST /x HTTP/1.1", fields: ["host: a", "transfer-encoding: chunked"], body }
  return {
    name,
    send: message("POST /x HTTP/1.1", ["Host: a", "Transfer-Encoding: chunked"], wire),
    forwards: [trailers === undefined ? forwarded : { ...forwarded, trailers }],
    after: "kept",
  }
}

const octets = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("")
const long = "a".repeat(20_000)
const manyFields = Array.from({ length: 99 }, (_, i) => `x-${i}: ${i}`)

export const acceptedRequests: readonly RequestCase[] = [
  // RFC 9112 §2.2, §3: the request line.
  get("request line: the simplest", [], []),
  {
    name: "request line: one empty line before it",
    send: `\r\n${message("GET /x HTTP/1.1", ["Host: a"])}`,
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  {
    name: "request line: one empty line before each",
    send: `\r\n${message("GET /1 HTTP/1.1", ["Host: a"])}\r\n${message("GET /2 HTTP/1.1", ["Host: a"])}`,
    forwards: [
      { line: "GET /1 HTTP/1.1", fields: ["host: a"] },
      { line: "GET /2 HTTP/1.1", fields: ["host: a"] },
    ],
    after: "kept",
  },
  target("request line: exactly 8 KiB", `/${"a".repeat(8192 - 14)}`, `/${"a".repeat(8192 - 14)}`),
  ...["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "get", "M-SEARCH", "!$%&'*+-.^_`|~09Az"].map(method),
  target("target: root", "/", "/"),
  target("target: query", "/x?a=b&c", "/x?a=b&c"),
  target("target: empty query", "/x?", "/x?"),
  target("target: query with everything it may have", "/x?a=/../%2e%00//?&b='\"<>[]{}|\\^`", "/x?a=/../%2e%00//?&b='\"<>[]{}|\\^`"),
  target("target: a URL in the path", "/http://b/x", "/http:/b/x"),
  target("target: dot segments", "/a/./b/../x", "/a/x"),
  target("target: escaped dot segments", "/a/%2e/b/%2E%2e/x", "/a/x"),
  target("target: dot segment at the end", "/a/b/..", "/a/"),
  target("target: two slashes", "//x///y", "/x/y"),
  target("target: escapes of unreserved characters", "/%61%2d%7E%5f", "/a-~_"),
  target("target: lower-case escapes", "/%c3%a9", "/%C3%A9"),
  target("target: escaped slash", "/a%2fb", "/a%2Fb"),
  target("target: escaped percent sign", "/%2561", "/%2561"),
  target("target: characters that must be escaped", '/<">[]^`{|}', "/%3C%22%3E%5B%5D%5E%60%7B%7C%7D"),
  {
    name: "target: asterisk",
    send: message("OPTIONS * HTTP/1.1", ["Host: a"]),
    forwards: [{ line: "OPTIONS * HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  {
    name: "absolute form",
    send: message("GET http://a/x?y HTTP/1.1", ["Host: a"]),
    forwards: [{ line: "GET /x?y HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  {
    name: "absolute form: cases of scheme and host",
    send: message("GET HTTP://EXAMPLE.com:80/x HTTP/1.1", ["Host: example.COM:80"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: EXAMPLE.com:80"] }],
    after: "kept",
  },
  {
    name: "absolute form: no path",
    send: message("GET http://a HTTP/1.1", ["Host: a"]),
    forwards: [{ line: "GET / HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  {
    name: "absolute form: query without a path",
    send: message("GET http://a?y HTTP/1.1", ["Host: a"]),
    forwards: [{ line: "GET /?y HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  {
    name: "absolute form: OPTIONS without a path is for the server as a whole",
    send: message("OPTIONS http://a HTTP/1.1", ["Host: a"]),
    forwards: [{ line: "OPTIONS * HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  {
    name: "absolute form: HTTP/1.0 without Host",
    send: message("GET http://a/x HTTP/1.0", []),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  // RFC 9112 §3.2: Host.
  host("host: port", "a.example:8080"),
  host("host: upper case survives", "A.Example"),
  host("host: underscore", "a_b.example"),
  host("host: final dot", "a.example."),
  host("host: IPv4 address", "127.0.0.1:80"),
  host("host: IPv6 address", "[::1]:80"),
  {
    name: "host: keeps its place",
    send: message("GET /x HTTP/1.1", ["A: 1", "hOsT:\t a \t", "B: 2"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["a: 1", "host: a", "b: 2"] }],
    after: "kept",
  },
  // RFC 9110 §5: fields.
  get("fields: lower-case names, order and repeats", ["B: 1", "a: 2", "B: 3", "A: 4"], ["b: 1", "a: 2", "b: 3", "a: 4"]),
  get("fields: no space, spaces and tabs around the value", ["A:1", "B:   2  ", "C:\t3\t ", "D: 4"], ["a: 1", "b: 2", "c: 3", "d: 4"]),
  get("fields: empty values", ["A:", "B: ", "C: \t "], ["a: ", "b: ", "c: "]),
  get("fields: white space inside a value", ["A: b  c\td"], ["a: b  c\td"]),
  get("fields: obs-text", ["A: \x80\xe4\xff\xa0", "B: \xa0x\xa0"], ["a: \x80\xe4\xff\xa0", "b: \xa0x\xa0"]),
  get("fields: colons and quotes in a value", ['A: :b: "c\\"d",;='], ['a: :b: "c\\"d",;=']),
  get("fields: every token character", ["!#$%&'*+-.^_`|~09Az: 1"], ["!#$%&'*+-.^_`|~09az: 1"]),
  get(
    "fields: underscores are names of their own",
    ["Content_Length: 5", "Transfer_Encoding: chunked"],
    ["content_length: 5", "transfer_encoding: chunked"],
  ),
  get(
    "fields: names that begin like framing",
    ["Content-Length-X: 5", "X-Transfer-Encoding: chunked", "Hosts: b"],
    ["content-length-x: 5", "x-transfer-encoding: chunked", "hosts: b"],
  ),
  get(
    "fields: names as long as known ones",
    ["tf: 1", "hoss: 1", "content-lengthy: 1", "kontent-length: 1", "cransfer-encoding: 1"],
    ["tf: 1", "hoss: 1", "content-lengthy: 1", "kontent-length: 1", "cransfer-encoding: 1"],
  ),
  get("fields: cookies stay apart", ["Cookie: a=1", "Cookie: b=2"], ["cookie: a=1", "cookie: b=2"]),
  get("fields: 100 of them", manyFields, manyFields),
  get("fields: one of 20 000 octets", [`A: ${long}`], [`a: ${long}`]),
  get(
    "fields: authorization, and what else is end to end",
    ["Authorization: Basic eDp5", "Proxy-Authorization: Basic eDp5", "Via: 1.1 b", "Forwarded: for=c"],
    ["authorization: Basic eDp5", "proxy-authorization: Basic eDp5", "via: 1.1 b", "forwarded: for=c"],
  ),
  // RFC 9110 §7.6.1: hop-by-hop fields.
  get(
    "hop by hop: all of them",
    [
      "Keep-Alive: timeout=5",
      "A: 1",
      "Proxy-Connection: keep-alive",
      "TE: gzip",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABk",
      "Connection: keep-alive",
    ],
    ["a: 1"],
  ),
  get("hop by hop: what Connection names", ["A: 1", "Connection: b, A", "B: 2", "C: 3", "a: 4"], ["c: 3"]),
  get("hop by hop: what two Connection fields name", ["Connection: A", "A: 1", "B: 2", "Connection: B", "C: 3"], ["c: 3"]),
  get("hop by hop: Connection with empty elements", ["Connection: , a,,\t", "A: 1", "B: 2"], ["b: 2"]),
  get("hop by hop: Connection names what is not there", ["Connection: x-none", "B: 2"], ["b: 2"]),
  get("hop by hop: empty Connection", ["Connection:", "B: 2"], ["b: 2"]),
  get("hop by hop: Trailer stays", ["Trailer: x-sum"], ["trailer: x-sum"]),
  get("hop by hop: TE trailers is said again", ["TE: trailers"], ["te: trailers", "connection: te"]),
  get("hop by hop: TE trailers among others", ["TE: gzip;q=0.5, Trailers", "Connection: TE"], ["te: trailers", "connection: te"]),
  get(
    "upgrade: WebSocket passes",
    ["Upgrade: WebSocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"],
    ["sec-websocket-version: 13", "connection: upgrade", "upgrade: websocket"],
  ),
  get(
    "upgrade: WebSocket and more in Connection",
    ["Upgrade: websocket", "Connection: keep-alive, Upgrade, A", "A: 1"],
    ["connection: upgrade", "upgrade: websocket"],
  ),
  get("upgrade: none without Connection", ["Upgrade: websocket"], []),
  get("upgrade: h2c becomes a plain request", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"], []),
  get("upgrade: one of two protocols becomes a plain request", ["Connection: Upgrade", "Upgrade: h2c, websocket"], []),
  get("upgrade: two fields are a list", ["Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"], []),
  {
    name: "upgrade: none with a body",
    send: message("GET /x HTTP/1.1", ["Host: a", "Upgrade: websocket", "Connection: Upgrade", "Content-Length: 5"], "hello"),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a", "content-length: 5"], body: "hello" }],
    after: "kept",
  },
  {
    name: "upgrade: none on HTTP/1.0",
    send: message("GET /x HTTP/1.0", ["Host: a", "Upgrade: websocket", "Connection: Upgrade"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  {
    name: "upgrade: none but by GET",
    send: message("POST /x HTTP/1.1", ["Host: a", "Upgrade: websocket", "Connection: Upgrade"]),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  // RFC 9112 §9.3, §9.6, Appendix C: persistence.
  {
    name: "persistence: close",
    send: message("GET /x HTTP/1.1", ["Host: a", "Connection: close"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  {
    name: "persistence: close in any case, in a list",
    send: message("GET /x HTTP/1.1", ["Host: a", "Connection: Keep-Alive, CLOSE"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  {
    name: "persistence: nothing is read after close",
    send: message("GET /1 HTTP/1.1", ["Host: a", "Connection: close"]) + message("GET /2 HTTP/1.1", ["Host: a"]),
    forwards: [{ line: "GET /1 HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  {
    name: "persistence: HTTP/1.0",
    send: message("GET /x HTTP/1.0", ["Host: a"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  {
    name: "persistence: HTTP/1.0 without Host",
    send: message("GET /x HTTP/1.0", []),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: @origin"] }],
    after: "closed",
  },
  {
    name: "persistence: HTTP/1.0 with keep-alive",
    send: message("GET /x HTTP/1.0", ["Host: a", "Connection: keep-alive"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "kept",
  },
  {
    name: "persistence: HTTP/1.0 with keep-alive and close",
    send: message("GET /x HTTP/1.0", ["Host: a", "Connection: keep-alive, close"]),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  {
    name: "persistence: HTTP/1.0 with a body",
    send: message("POST /x HTTP/1.0", ["Host: a", "Content-Length: 5", "Connection: keep-alive"], "hello"),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 5"], body: "hello" }],
    after: "kept",
  },
  {
    name: "persistence: a client that ends its side gets its answer",
    send: message("GET /x HTTP/1.1", ["Host: a"]),
    end: true,
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a"] }],
    after: "closed",
  },
  // RFC 9112 §6.2: Content-Length.
  {
    name: "content-length: a body",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length: 5"], "hello"),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 5"], body: "hello" }],
    after: "kept",
  },
  {
    name: "content-length: nought",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length: 0"]),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 0"] }],
    after: "kept",
  },
  {
    name: "content-length: white space around it",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length:\t 5 \t"], "hello"),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 5"], body: "hello" }],
    after: "kept",
  },
  {
    name: "content-length: a body of GET",
    send: message("GET /x HTTP/1.1", ["Host: a", "Content-Length: 5"], "hello"),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a", "content-length: 5"], body: "hello" }],
    after: "kept",
  },
  {
    name: "content-length: every octet",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length: 256"], octets),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 256"], body: octets }],
    after: "kept",
  },
  {
    name: "content-length: a body that looks like a request",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length: 37"], "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n"),
    forwards: [
      { line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 37"], body: "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n" },
    ],
    after: "kept",
  },
  {
    name: "content-length: 64 KiB, the limit",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length: 65536"], "a".repeat(65536)),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 65536"], body: "a".repeat(65536) }],
    after: "kept",
  },
  // RFC 9112 §7.1: the chunked coding.
  chunked("chunked: one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"),
  chunked("chunked: no data", "0\r\n\r\n", ""),
  chunked("chunked: several chunks", "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world"),
  chunked("chunked: sizes in either case", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
  chunked("chunked: noughts before a size", "0005\r\nhello\r\n000\r\n\r\n", "hello"),
  chunked("chunked: 12 noughts before a size", "0000000000005\r\nhello\r\n0\r\n\r\n", "hello"),
  chunked("chunked: extensions are dropped", '5;a\r\nhello\r\n5;b=c;d="e;\\"f"\r\nworld\r\n0;g\r\n\r\n', "helloworld"),
  chunked("chunked: extension of spaces", "5; \t\r\nhello\r\n0\r\n\r\n", "hello"),
  chunked("chunked: extension that looks like a chunk", "5;0\r\nhello\r\n0\r\n\r\n", "hello"),
  chunked("chunked: data that looks like its end", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n"),
  chunked("chunked: every octet", `100\r\n${octets}\r\n0\r\n\r\n`, octets),
  chunked(
    "chunked: 64 KiB, the limit",
    `8000\r\n${"a".repeat(0x8000)}\r\n8000\r\n${"b".repeat(0x8000)}\r\n0\r\n\r\n`,
    "a".repeat(0x8000) + "b".repeat(0x8000),
  ),
  chunked("chunked: 2000 chunks of an octet", `${"1\r\na\r\n".repeat(2000)}0\r\n\r\n`, "a".repeat(2000)),
  chunked("chunked: trailers", "5\r\nhello\r\n0\r\nX-Sum: 1\r\nGrpc-Status:0 \r\n\r\n", "hello", ["x-sum: 1", "grpc-status: 0"]),
  chunked("chunked: trailers without data", "0\r\nA: 1\r\nA: \xe4\r\n\r\n", "", ["a: 1", "a: \xe4"]),
  chunked(
    "chunked: 64 trailers",
    `0\r\n${"X: 1\r\n".repeat(64)}\r\n`,
    "",
    Array.from({ length: 64 }, () => "x: 1"),
  ),
  {
    name: "chunked: the coding's name in another case",
    send: message("POST /x HTTP/1.1", ["Transfer-Encoding:\tChUnKeD ", "Host: a"], "5\r\nhello\r\n0\r\n\r\n"),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "transfer-encoding: chunked"], body: "hello" }],
    after: "kept",
  },
  {
    name: "chunked: a body of GET",
    send: message("GET /x HTTP/1.1", ["Host: a", "Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"),
    forwards: [{ line: "GET /x HTTP/1.1", fields: ["host: a", "transfer-encoding: chunked"], body: "hello" }],
    after: "kept",
  },
  // RFC 9110 §10.1.1: Expect.
  {
    name: "expect: 100-continue with a body that doesn't wait",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length: 5", "Expect: 100-continue"], "hello"),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 5", "expect: 100-continue"], body: "hello" }],
    after: "kept",
  },
  {
    name: "expect: in another case",
    send: message("POST /x HTTP/1.1", ["Host: a", "Content-Length: 5", "EXPECT: 100-Continue"], "hello"),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 5", "expect: 100-continue"], body: "hello" }],
    after: "kept",
  },
  get("expect: nothing to wait for without a body", ["Expect: 100-continue"], []),
  {
    name: "expect: means nothing on HTTP/1.0",
    send: message("POST /x HTTP/1.0", ["Host: a", "Content-Length: 5", "Expect: 100-continue"], "hello"),
    forwards: [{ line: "POST /x HTTP/1.1", fields: ["host: a", "content-length: 5"], body: "hello" }],
    after: "closed",
  },
  // RFC 9112 §9.3.2: pipelining.
  {
    name: "pipeline: three requests",
    send:
      message("GET /1 HTTP/1.1", ["Host: a", "A: 1"]) +
      message("GET /2 HTTP/1.1", ["Host: b"]) +
      message("GET /3 HTTP/1.1", ["Host: c", "C: 3"]),
    forwards: [
      { line: "GET /1 HTTP/1.1", fields: ["host: a", "a: 1"] },
      { line: "GET /2 HTTP/1.1", fields: ["host: b"] },
      { line: "GET /3 HTTP/1.1", fields: ["host: c", "c: 3"] },
    ],
    after: "kept",
  },
  {
    name: "pipeline: bodies of each kind",
    send:
      message("POST /1 HTTP/1.1", ["Host: a", "Content-Length: 5"], "hello") +
      message("POST /2 HTTP/1.1", ["Host: a", "Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\nX: 1\r\n\r\n") +
      message("HEAD /3 HTTP/1.1", ["Host: a"]) +
      message("POST /4 HTTP/1.1", ["Host: a", "Transfer-Encoding: chunked"], "5;a\r\nworld\r\n0\r\n\r\n") +
      message("GET /5 HTTP/1.0", ["Connection: keep-alive", "Host: a"]),
    forwards: [
      { line: "POST /1 HTTP/1.1", fields: ["host: a", "content-length: 5"], body: "hello" },
      { line: "POST /2 HTTP/1.1", fields: ["host: a", "transfer-encoding: chunked"], body: "hello", trailers: ["x: 1"] },
      { line: "HEAD /3 HTTP/1.1", fields: ["host: a"] },
      { line: "POST /4 HTTP/1.1", fields: ["host: a", "transfer-encoding: chunked"], body: "world" },
      { line: "GET /5 HTTP/1.1", fields: ["host: a"] },
    ],
    after: "kept",
  },
]
