import { describe, expect, test } from "vitest"
import { HTTP1, HTTP2, LINE_LIMIT, OTHER, ProtocolDetector, TLS, UNDECIDED } from "../../../gateway/tcp/detect-protocol.ts"
import { helloMessage, records } from "../../support/client-hello.ts"

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/** Octets, what they are, and how many of them are needed to say so. */
const cases: readonly (readonly [string, string | Buffer, number, number])[] = [
  ["a TLS client", records(helloMessage({ serverName: "a" })), TLS, 6],
  ["a TLS client that cuts its message's head off", records(helloMessage(), 1), TLS, 6],
  ["a TLS record of another kind", Buffer.from([21, 3, 3, 0, 2, 1, 0]), OTHER, 1],
  ["another handshake message", Buffer.from([22, 3, 3, 0, 4, 2]), OTHER, 6],
  ["another major version of TLS", Buffer.from([22, 2, 0]), OTHER, 2],
  ["another minor version of TLS", Buffer.from([22, 3, 5]), OTHER, 3],
  ["a record that is too long", Buffer.from([22, 3, 1, 0x41]), OTHER, 4],
  ["SSL 2", Buffer.from([0x80, 0x2e, 1, 3, 1]), OTHER, 1],
  ["HTTP/2", `${PREFACE}\0\0\0\x04`, HTTP2, 24],
  ["HTTP/2's first line with another behind it", "PRI * HTTP/2.0\r\nHost: a\r\n", HTTP1, 17],
  ["a method that begins like HTTP/2", "PRIVATE / HTTP/1.1\r\n", HTTP1, 15],
  ["that method in HTTP/1", "PRI * HTTP/1.1\r\n", HTTP1, 12],
  ["GET", "GET / HTTP/1.1\r\n", HTTP1, 11],
  ["POST with a query", "POST /a?b=c HTTP/1.0\r\n", HTTP1, 17],
  ["CONNECT", "CONNECT a.example:443 HTTP/1.1\r\n", HTTP1, 27],
  ["an absolute target", "GET http://a.example/ HTTP/1.1\r\n", HTTP1, 27],
  ["OPTIONS *", "OPTIONS * HTTP/1.1\r\n", HTTP1, 15],
  ["a method nobody knows", "M-SEARCH /x HTTP/1.1\r\n", HTTP1, 17],
  ["an empty line before the request", "\r\nGET / HTTP/1.1\r\n", HTTP1, 13],
  ["HTTP of a later version", "GET / HTTP/3.0\r\n", HTTP1, 11],
  ["HTTP without a version (0.9)", "GET /\r\n", OTHER, 6],
  ["two empty lines", "\r\n\r\nGET", OTHER, 3],
  ["a bare LF", "\nGET", OTHER, 1],
  ["a CR that no LF follows", "\rG", OTHER, 2],
  ["a space first", " GET", OTHER, 1],
  ["two spaces", "GET  / HTTP/1.1", OTHER, 5],
  ["a target with a control octet", "GET /\t HTTP/1.1", OTHER, 6],
  ["a target above ASCII", "GET /\xe4 HTTP/1.1", OTHER, 6],
  ["another protocol's version", "GET / ICY/1.1", OTHER, 7],
  ["a version in lower case", "GET / http/1.1", OTHER, 7],
  ["RTSP", "OPTIONS * RTSP/1.0\r\n", OTHER, 11],
  ["SIP", "INVITE sip:a@b SIP/2.0\r\n", OTHER, 16],
  ["SSH", "SSH-2.0-OpenSSH_9.6\r\n", OTHER, 20],
  ["SMTP", "EHLO a.example\r\n", OTHER, 15],
  ["Redis", "*1\r\n$4\r\nPING\r\n", OTHER, 3],
  ["Redis inline", "PING\r\n", OTHER, 5],
  ["memcached", "get key\r\n", OTHER, 8],
  ["PostgreSQL", Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]), OTHER, 1],
  ["MQTT", Buffer.from([0x10, 0x0c, 0, 4]), OTHER, 1],
  ["a PROXY header", "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n", OTHER, 12],
  ["a word without an end", "a".repeat(100), OTHER, 33],
  ["a target without an end", `GET /${"a".repeat(LINE_LIMIT)}`, HTTP1, LINE_LIMIT + 1],
]

function octetsOf(value: string | Buffer): Buffer {
  return typeof value === "string" ? Buffer.from(value, "latin1") : value
}

describe("the protocol of a connection", () => {
  test.each(cases)("is told by its first octets: %s", (_what, value, protocol, needed) => {
    const octets = octetsOf(value)
    expect(new ProtocolDetector().read(octets, octets.length)).toBe(protocol)
    const dripping = new ProtocolDetector()
    for (let end = 0; end < needed; end++) if (dripping.read(octets, end) !== UNDECIDED) throw new Error(`decided at ${end}`)
    expect(dripping.read(octets, needed)).toBe(protocol)
    // Every cut in two.
    for (let cut = 0; cut < Math.min(needed, octets.length); cut += needed > 1000 ? 101 : 1) {
      const detector = new ProtocolDetector()
      expect(detector.read(octets, cut)).toBe(UNDECIDED)
      expect(detector.read(octets, octets.length)).toBe(protocol)
    }
  })
})
