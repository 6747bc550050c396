// Random HTTP/1.1 messages for fuzzing: mostly well-formed, with the oddities that parsers are known to differ on, and mutations.

import type { Random } from "../conformance/http1/cuts.ts"

const methods = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "CONNECT", "TRACE", "G E T", "", "get", "M-SEARCH", "PRI"]
const targets = ["/", "/a?b=c", "*", "http://a/", "http://a", "a:80", "//", "/%2e%2e", "/\xe9", "/#", "", "/ /", "https://b:1/?"]
const versions = [
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/1.2",
  "HTTP/2.0",
  "HTTP/0.9",
  "http/1.1",
  "HTTP/1.1 ",
  "HTTP/11",
  "",
]
const statuses = [
  "200 OK",
  "200",
  "204 No Content",
  "304 x",
  "100 Continue",
  "103 Early",
  "404 ",
  "599 \xe9",
  "600 x",
  "20 x",
  "2000 x",
  "1x0 y",
]
const names = [
  "Host",
  "Content-Length",
  "Transfer-Encoding",
  "Connection",
  "TE",
  "Upgrade",
  "Expect",
  "Keep-Alive",
  "Trailer",
  "A",
  "x-b",
  "Cookie",
  "Content_Length",
  "Transfer-Encoding ",
  "Content-Length\t",
  "\xe9",
  "",
  "a b",
]
const values = [
  "a",
  "a:80",
  "",
  "0",
  "5",
  "05",
  "+5",
  "-1",
  "0x5",
  "5,5",
  "5 5",
  "18446744073709551621",
  "9007199254740991",
  "chunked",
  "Chunked",
  "chunked ",
  " \tchunked",
  "gzip, chunked",
  "chunked, chunked",
  "chunked, identity",
  "identity",
  "\x0bchunked",
  "close",
  "keep-alive, a",
  "upgrade",
  "websocket",
  "h2c",
  "100-continue",
  "trailers",
  "Host",
  "\xff\x80",
  "a\tb",
  "a\0b",
  "a\rb",
  "a\nb",
  "timeout=5",
]
const ends = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\r\n\t", ""]
const colons = [": ", ": ", ": ", ":", ":\t", " : ", ":  ", ""]
const sizes = [
  "0",
  "1",
  "3",
  "5",
  "a",
  "A",
  "05",
  "000",
  "5;a",
  '5;a="b"',
  "5 ",
  " 5",
  "+5",
  "-5",
  "0x5",
  "5_",
  "ffffffffffffff",
  "fffffffffffff",
  "10000000000000005",
  "",
  "5\t;x",
  "g",
]

/** Usually the first, which is right. */
function mostly(list: readonly string[], random: Random): string {
  return random.below(16) === 0 ? random.pick(list) : list[0]
}

export function randomFields(random: Random, framing: boolean): string {
  let text = ""
  for (let n = random.below(5); n > 0; n--)
    text += `${random.pick(names)}${mostly(colons, random)}${random.pick(values)}${mostly(ends, random)}`
  if (!framing) return text
  switch (random.below(6)) {
    case 0:
      return `${text}Content-Length${mostly(colons, random)}${random.below(12)}${mostly(ends, random)}`
    case 1:
    case 2:
      return `${text}Transfer-Encoding${mostly(colons, random)}chunked${mostly(ends, random)}`
    default:
      return text
  }
}

export function randomChunks(random: Random): string {
  let text = ""
  for (let n = random.below(4); n > 0; n--) {
    if (random.below(8) === 0) text += `${random.pick(sizes)}${mostly(ends, random)}hello${mostly(ends, random)}`
    else {
      const length = 1 + random.below(20)
      text += `${length.toString(16)}${mostly(ends, random)}${"0\r\n;a".repeat(4).slice(0, length)}${mostly(ends, random)}`
    }
  }
  text += `${mostly(["0", ...sizes], random)}${mostly(ends, random)}`
  if (random.below(4) === 0) text += randomFields(random, false)
  return text + mostly(ends, random)
}

export function randomRequest(random: Random): string {
  const host = random.below(10) === 0 ? "" : `Host${mostly(colons, random)}${mostly(values, random)}${mostly(ends, random)}`
  const line = `${mostly(methods, random)} ${mostly(targets, random)} ${mostly(versions, random)}${mostly(ends, random)}`
  const before = random.below(12) === 0 ? "\r\n" : ""
  return (
    before +
    line +
    host +
    randomFields(random, true) +
    mostly(ends, random) +
    (random.below(2) === 0 ? randomChunks(random) : "hello world!".slice(random.below(12)))
  )
}

export function randomResponse(random: Random): string {
  const interim = random.below(8) === 0 ? "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" : ""
  const line = `${random.below(16) === 0 ? random.pick(versions) : "HTTP/1.1"} ${random.below(4) === 0 ? random.pick(statuses) : "200 OK"}${mostly(ends, random)}`
  return (
    interim +
    line +
    randomFields(random, true) +
    mostly(ends, random) +
    (random.below(2) === 0 ? randomChunks(random) : "hello world!".slice(random.below(12)))
  )
}

const special = [0, 9, 10, 13, 32, 44, 48, 58, 59, 127, 128, 160, 255]

/** The octets with a few of them changed, removed or inserted; often none. */
export function mutate(text: string, random: Random): Buffer {
  let octets: Buffer = Buffer.from(text, "latin1")
  for (let n = Math.max(0, random.below(6) - 3); n > 0 && octets.length > 0; n--) {
    const at = random.below(octets.length)
    const octet = random.below(2) === 0 ? random.pick(special) : random.below(256)
    switch (random.below(4)) {
      case 0:
        octets[at] = octet
        break
      case 1:
        octets = Buffer.concat([octets.subarray(0, at), octets.subarray(at + 1)])
        break
      case 2:
        octets = Buffer.concat([octets.subarray(0, at), Buffer.from([octet]), octets.subarray(at)])
        break
      default:
        octets = Buffer.concat([octets.subarray(0, at), octets.subarray(random.below(octets.length))])
    }
  }
  return octets
}
