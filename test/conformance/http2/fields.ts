// RFC 9113 §8: fields, pseudo-header fields and lengths of requests. What HTTP/1.1 would refuse is refused here too.

import { requestFields } from "../../support/h2-client.ts"
import { data, headers } from "../../support/h2-frames.ts"
import type { Field } from "../../support/h2-hpack.ts"
import { type Forwarded, type FrameCase, get, malformed, type Outcome, post } from "./case.ts"

const raw = (fields: readonly Field[]) => [headers(1, fields)]
const [METHOD, SCHEME, PATH, AUTHORITY] = requestFields()

function refused(name: string, fields: readonly Field[], expects: FrameCase["expects"] = malformed): FrameCase {
  return { name, send: raw(fields), expects }
}

function refusedField(name: string, ...fields: readonly Field[]): FrameCase {
  return { name, send: [get(1, fields)], expects: malformed }
}

function passes(name: string, fields: readonly Field[], forwards: Forwarded): FrameCase {
  return { name, send: raw(fields), expects: "200", forwards }
}

function passesField(name: string, sent: readonly Field[], fields: readonly string[]): FrameCase {
  return passes(name, requestFields("/", "GET", sent), { line: "GET / HTTP/1.1", fields })
}

function refusedPath(name: string, path: string): FrameCase {
  return refused(name, [METHOD, SCHEME, [":path", path], AUTHORITY])
}

function refusedAuthority(name: string, authority: string): FrameCase {
  return refused(name, [METHOD, SCHEME, PATH, [":authority", authority]])
}

const printable = (from: number, to: number): string => String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, i) => from + i))

const names: readonly FrameCase[] = [
  refusedField("§8.2 a name in upper case", ["X-Test", "y"]),
  refusedField("§8.2 a name with one letter in upper case", ["x-tesT", "y"]),
  refusedField("§8.2.1 an empty name", ["", "y"]),
  refusedField("§8.2.1 a name with a space", ["x y", "y"]),
  refusedField("§8.2.1 a name that ends with a space", ["x ", "y"]),
  refusedField("§8.2.1 a name with a tab", ["x\t", "y"]),
  refusedField("§8.2.1 a name with a colon", ["x:y", "y"]),
  refusedField("§8.2.1 a name with a line break", ["x\r\ny", "y"]),
  refusedField("§8.2.1 a name with NUL", ["x\0", "y"]),
  refusedField("§8.2.1 a name with DEL", ["x\x7f", "y"]),
  refusedField("§8.2.1 a name with obs-text", ["x\xe4", "y"]),
  refusedField("§8.2.1 a name with a separator", ["x(y)", "y"]),
  passesField("§8.2.1 a name of every character of a token", [["!#$%&'*+-.^_`|~09az", "y"]], ["!#$%&'*+-.^_`|~09az: y"]),
]

const values: readonly FrameCase[] = [
  refusedField("§8.2.1 a value with NUL", ["x", "a\0b"]),
  refusedField("§8.2.1 a value with LF", ["x", "a\nb"]),
  refusedField("§8.2.1 a value with CR", ["x", "a\rb"]),
  refusedField("§8.2.1 a value that splits the request", ["x", "a\r\nx-injected: b"]),
  refusedField("§8.2.1 a value with another control character", ["x", "a\x01b"]),
  refusedField("§8.2.1 a value with DEL", ["x", "a\x7fb"]),
  refusedField("§8.2.1 a value that begins with a space", ["x", " a"]),
  refusedField("§8.2.1 a value that begins with a tab", ["x", "\ta"]),
  refusedField("§8.2.1 a value that ends with a space", ["x", "a "]),
  refusedField("§8.2.1 a value that ends with a tab", ["x", "a\t"]),
  passesField(
    "§8.2.1 an empty value",
    [
      ["x", ""],
      ["y", "z"],
    ],
    ["x: ", "y: z"],
  ),
  passesField("§8.2.1 a value with spaces and tabs inside", [["x", "a \t b"]], ["x: a \t b"]),
  passesField("§8.2.1 a value of all visible characters", [["x", printable(33, 126)]], [`x: ${printable(33, 126)}`]),
  passesField("§8.2.1 a value with every octet of obs-text", [["x", printable(128, 255)]], [`x: ${printable(128, 255)}`]),
  passesField(
    "§8.2.1 repeated fields keep their order",
    [
      ["x", "1"],
      ["y", "2"],
      ["x", "3"],
    ],
    ["x: 1", "y: 2", "x: 3"],
  ),
]

const connection: readonly FrameCase[] = [
  refusedField("§8.2.2 connection", ["connection", "close"]),
  refusedField("§8.2.2 connection that names a field", ["connection", "x"], ["x", "y"]),
  refusedField("§8.2.2 keep-alive", ["keep-alive", "timeout=5"]),
  refusedField("§8.2.2 proxy-connection", ["proxy-connection", "keep-alive"]),
  refusedField("§8.2.2 transfer-encoding", ["transfer-encoding", "chunked"]),
  refusedField("§8.2.2 transfer-encoding identity", ["transfer-encoding", "identity"]),
  refusedField("§8.2.2 upgrade", ["upgrade", "websocket"]),
  refusedField("§8.2.2 te of another coding", ["te", "gzip"]),
  refusedField("§8.2.2 te of trailers and more", ["te", "trailers, deflate;q=0.5"]),
  passesField("§8.2.2 te: trailers", [["te", "trailers"]], ["te: trailers"]),
  passesField("§8.2.3 one cookie", [["cookie", "a=1; b=2"]], ["cookie: a=1; b=2"]),
  passesField(
    "§8.2.3 crumbs of a cookie",
    [
      ["x", "y"],
      ["cookie", "a=1"],
      ["cookie", "b=2"],
      ["cookie", "c=3"],
    ],
    ["x: y", "cookie: a=1; b=2; c=3"],
  ),
]

const pseudo: readonly FrameCase[] = [
  refused("§8.3.1 no :method", [SCHEME, PATH, AUTHORITY]),
  refused("§8.3.1 no :scheme", [METHOD, PATH, AUTHORITY]),
  refused("§8.3.1 no :path", [METHOD, SCHEME, AUTHORITY]),
  refused("§8.3.1 no authority at all", [METHOD, SCHEME, PATH]),
  refused("§8.3.1 no field at all but regular ones", [["x", "y"]]),
  refused("§8.3.1 :method twice", [METHOD, METHOD, SCHEME, PATH, AUTHORITY]),
  refused("§8.3.1 :scheme twice", [METHOD, SCHEME, SCHEME, PATH, AUTHORITY]),
  refused("§8.3.1 :path twice", [METHOD, SCHEME, PATH, [":path", "/other"], AUTHORITY]),
  refused("§8.3.1 :authority twice", [METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY]),
  refused("§8.3 a pseudo-header field behind a regular one", [METHOD, SCHEME, PATH, ["x", "y"], AUTHORITY]),
  refused("§8.3 all pseudo-header fields behind regular ones", [["x", "y"], METHOD, SCHEME, PATH, AUTHORITY]),
  refused("§8.3 an unknown pseudo-header field", [...requestFields(), [":test", "y"]]),
  refused("§8.3 a pseudo-header field without a name", [...requestFields(), [":", "y"]]),
  refused("§8.3 a pseudo-header field in upper case", [[":METHOD", "GET"], SCHEME, PATH, AUTHORITY]),
  refused("§8.3 the one of responses", [...requestFields(), [":status", "200"]]),
  passes("§8.3 in another order", [AUTHORITY, PATH, SCHEME, METHOD], { line: "GET / HTTP/1.1" }),

  refused("§8.3.1 an empty :method", [[":method", ""], SCHEME, PATH, AUTHORITY]),
  refused("§8.3.1 a :method with a space", [[":method", "GET /x"], SCHEME, PATH, AUTHORITY]),
  refused("§8.3.1 a :method with a line break", [[":method", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"], SCHEME, PATH, AUTHORITY]),
  refused("§8.3.1 a :method with obs-text", [[":method", "G\xc4T"], SCHEME, PATH, AUTHORITY]),
  passes("§8.3.1 a method nobody knows", [[":method", "M-SEARCH"], SCHEME, PATH, AUTHORITY], { line: "M-SEARCH / HTTP/1.1" }),
  passes("§8.3.1 a method in lower case", [[":method", "get"], SCHEME, PATH, AUTHORITY], { line: "get / HTTP/1.1" }),
  refused("§8.5 TRACE", [[":method", "TRACE"], SCHEME, PATH, AUTHORITY], "405"),

  refused("§8.3.1 an empty :scheme", [METHOD, [":scheme", ""], PATH, AUTHORITY]),
  refused("§8.3.1 a :scheme with a line break", [METHOD, [":scheme", "http\r\nx: y"], PATH, AUTHORITY]),
  refused("§8.3.1 a :scheme that is none", [METHOD, [":scheme", "ht tp"], PATH, AUTHORITY]),
  // The request came in clear, whatever it says: nobody behind may be told otherwise.
  passes("§8.3.1 https on a connection in clear", [METHOD, [":scheme", "https"], PATH, AUTHORITY], { line: "GET / HTTP/1.1" }),

  refusedPath("§8.3.1 an empty :path", ""),
  refusedPath("§8.3.1 a :path without a slash", "x"),
  refusedPath("§8.3.1 a :path that is a query", "?x"),
  refusedPath("§8.3.1 a :path in absolute form", "http://a/"),
  refusedPath("§8.3.1 the :path * of another method", "*"),
  refusedPath("§8.3.1 a :path with a space", "/a b"),
  refusedPath("§8.3.1 a :path with a line break", "/ HTTP/1.1\r\nx: y\r\n\r\n"),
  refusedPath("§8.3.1 a :path with NUL", "/\0"),
  refusedPath("§8.3.1 a :path with a fragment", "/a#b"),
  refusedPath("§8.3.1 a :path with obs-text", "/\xe4"),
  refusedPath("§8.3.1 a :path with a cut escape", "/%2"),
  refusedPath("§8.3.1 a :path above the root", "/../x"),
  passes("§8.3.1 OPTIONS *", [[":method", "OPTIONS"], SCHEME, [":path", "*"], AUTHORITY], { line: "OPTIONS * HTTP/1.1" }),
  passes("§8.3.1 a path with dot segments, an escape and a query", [METHOD, SCHEME, [":path", "/a/./b/../%41//c?d=/../%2e"], AUTHORITY], {
    line: "GET /a/A/c?d=/../%2e HTTP/1.1",
  }),

  refusedAuthority("§8.3.1 an empty :authority", ""),
  refusedAuthority("§8.3.1 an :authority with user information", "user@a"),
  refusedAuthority("§8.3.1 an :authority with a space", "a b"),
  refusedAuthority("§8.3.1 an :authority with a path", "a/x"),
  refusedAuthority("§8.3.1 an :authority with a line break", "a\r\nx: y"),
  refusedAuthority("§8.3.1 an :authority with a port that is none", "a:99999"),
  refusedAuthority("§8.3.1 an :authority of two hosts", "a,b"),
  passes("§8.3.1 an :authority with a port", [METHOD, SCHEME, PATH, [":authority", "a:8080"]], { line: "GET / HTTP/1.1", host: "a:8080" }),
  passes("§8.3.1 host instead of :authority", [METHOD, SCHEME, PATH, ["host", "b"]], { line: "GET / HTTP/1.1", host: "b" }),
  passes("§8.3.1 host that says the same as :authority", [METHOD, SCHEME, PATH, AUTHORITY, ["host", "a"]], { line: "GET / HTTP/1.1" }),
  refused("§8.3.1 host that contradicts :authority", [METHOD, SCHEME, PATH, AUTHORITY, ["host", "b"]]),
  refused("§8.3.1 host twice", [METHOD, SCHEME, PATH, ["host", "a"], ["host", "a"]]),
  refused("§8.3.1 host twice beside :authority", [METHOD, SCHEME, PATH, AUTHORITY, ["host", "a"], ["host", "a"]]),
  refused("§8.3.1 an invalid host instead of :authority", [METHOD, SCHEME, PATH, ["host", "a/b"]]),
]

const connect: readonly FrameCase[] = [
  refused(
    "§8.5 CONNECT",
    [
      [":method", "CONNECT"],
      [":authority", "a:443"],
    ],
    "405",
  ),
  refused("§8.5 CONNECT with :scheme and :path", [[":method", "CONNECT"], SCHEME, PATH, AUTHORITY], [...malformed, "405"]),
  refused("§8.5 CONNECT without :authority", [[":method", "CONNECT"]], [...malformed, "405"]),
  refused("RFC 8441 §4 :protocol of another method", [METHOD, SCHEME, PATH, AUTHORITY, [":protocol", "websocket"]]),
  refused("RFC 8441 §4 extended CONNECT without :path", [[":method", "CONNECT"], [":protocol", "websocket"], SCHEME, AUTHORITY]),
  refused("RFC 8441 §4 extended CONNECT without :scheme", [[":method", "CONNECT"], [":protocol", "websocket"], PATH, AUTHORITY]),
  refused("RFC 8441 §4 extended CONNECT without :authority", [[":method", "CONNECT"], [":protocol", "websocket"], SCHEME, PATH]),
  refused("RFC 8441 §4 :protocol twice", [
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    [":protocol", "websocket"],
    SCHEME,
    PATH,
    AUTHORITY,
  ]),
  refused(
    "RFC 8441 §4 extended CONNECT to a protocol nobody knows",
    [[":method", "CONNECT"], [":protocol", "connect-udp"], SCHEME, PATH, AUTHORITY],
    [...malformed, "405", "501"],
  ),
]

function withBody(name: string, fields: readonly Field[], body: readonly string[], expects: readonly Outcome[] | Outcome): FrameCase {
  const frames = body.map((part, i) => data(1, part, { end: i === body.length - 1 }))
  const send = [post(1, fields), ...frames]
  return expects === "200" ? { name, send, expects, forwards: { line: "POST / HTTP/1.1", body: body.join("") } } : { name, send, expects }
}

const lengths: readonly FrameCase[] = [
  withBody("§8.1.1 content-length that is right", [["content-length", "10"]], ["hello", "world"], "200"),
  withBody("§8.1.1 a body longer than content-length", [["content-length", "4"]], ["hello"], malformed),
  withBody("§8.1.1 a body longer than content-length in its second frame", [["content-length", "7"]], ["hello", "world"], malformed),
  withBody("§8.1.1 a body shorter than content-length", [["content-length", "6"]], ["hello"], malformed),
  withBody("§8.1.1 a body shorter than content-length by a frame", [["content-length", "11"]], ["hello", "world"], malformed),
  withBody("§8.1.1 DATA behind content-length: 0", [["content-length", "0"]], ["x"], malformed),
  withBody("§8.1.1 empty DATA behind content-length: 0", [["content-length", "0"]], [""], "200"),
  refusedField("§8.1.1 content-length of a request that ends with its head", ["content-length", "5"]),
  {
    name: "§8.1.1 a body shorter than content-length, with trailers",
    send: [post(1, [["content-length", "6"]]), data(1, "hello"), headers(1, [["x", "y"]])],
    expects: malformed,
  },
  withBody(
    "§8.1.1 content-length twice",
    [
      ["content-length", "5"],
      ["content-length", "5"],
    ],
    ["hello"],
    malformed,
  ),
  withBody("§8.1.1 content-length as a list", [["content-length", "5, 5"]], ["hello"], malformed),
  withBody("§8.1.1 content-length with a sign", [["content-length", "+5"]], ["hello"], malformed),
  withBody("§8.1.1 content-length in hexadecimal", [["content-length", "0x5"]], ["hello"], malformed),
  withBody("§8.1.1 an empty content-length", [["content-length", ""]], ["hello"], malformed),
  withBody("§8.1.1 content-length over 2^53", [["content-length", "99999999999999999999"]], ["hello"], malformed),
]

export const fieldCases: readonly FrameCase[] = [...names, ...values, ...connection, ...pseudo, ...connect, ...lengths]
