// Random and mutated first octets of connections, for the readers of PROXY headers, ClientHellos and protocols. Every input is
// read whole and in random pieces, and both must come to the same; well-formed ones must come out as they went in.

import { formatIp } from "../../gateway/config/ip-address.ts"
import { HTTP1, HTTP2, OTHER, ProtocolDetector, TLS, UNDECIDED } from "../../gateway/tcp/detect-protocol.ts"
import { proxyHeader } from "../../gateway/tcp/proxy-header.ts"
import { readProxyHeader, UNFINISHED, V1_LIMIT, V2_LIMIT } from "../../gateway/tcp/proxy-protocol.ts"
import { CLIENT_HELLO_LIMIT, ClientHelloReader } from "../../gateway/tls/client-hello.ts"
import type { Random } from "../conformance/http1/cuts.ts"
import { helloMessage, records } from "../support/client-hello.ts"
import { checksummed, four, six, tlv, v2 } from "../support/proxy-headers.ts"

export interface Report {
  readonly inputs: number
  /** Inputs that were read to something, by reader. */
  readonly read: { readonly proxy: number; readonly hello: number; readonly protocol: number }
  /** The first fault with its input; null when there was none. */
  readonly problem: string | null
}

const names = ["", "a", "db.example.com", "A_b-C.d", "xn--bcher-kva.example"]
const words = [0, 1, 0xffff, 0xffffffff, 0x20010db8, 0x0a000001]

function octets(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: random.below(most + 1) }, () => random.below(256)))
}

function address(random: Random): string {
  return formatIp(
    random.below(2) === 0
      ? { version: 4, words: [random.pick(words)] }
      : { version: 6, words: [0x20010db8, random.pick(words), random.pick(words), random.pick(words)] },
  )
}

/** Changes some octets, cuts some out, puts some in, or leaves it as it is. */
function mutate(input: Buffer, random: Random): Buffer {
  let out = Buffer.from(input)
  for (let n = random.below(4); n > 0 && out.length > 0; n--) {
    const at = random.below(out.length)
    const what = random.below(4)
    if (what === 0) out[at] = random.below(256)
    else if (what === 1) out[at] ^= 1 << random.below(8)
    else if (what === 2) out = Buffer.concat([out.subarray(0, at), out.subarray(Math.min(out.length, at + 1 + random.below(5)))])
    else out = Buffer.concat([out.subarray(0, at), octets(random, 4), out.subarray(at)])
  }
  return out
}

/** Ends of the pieces `input` comes in. */
function ends(input: Buffer, random: Random): number[] {
  const places = Array.from({ length: random.below(6) }, () => random.below(input.length + 1))
  return [...places, input.length].sort((a, b) => a - b)
}

// ------------------------------------------------------------------------------------------------------------------ PROXY

function checkProxy(random: Random): { read: boolean; fault: string | null; input: Buffer } {
  const version = random.below(2) === 0 ? "v1" : "v2"
  const source = { host: address(random), port: random.below(65536) }
  const destination = { host: address(random), port: random.below(65536) }
  let whole: Buffer
  const shape = random.below(4)
  if (shape === 0)
    whole = v2(
      random.pick([0, 0x11, 0x21, 0x31]),
      Buffer.concat([random.pick([four, six]), tlv(random.below(8), octets(random, 9)), octets(random, 4)]),
    )
  else if (shape === 1) whole = checksummed(tlv(2, random.pick(names)), tlv(5, octets(random, 130)))
  else whole = proxyHeader(version, source, destination, version === "v2" ? random.pick(names) : "")
  const intact = shape > 1 && random.below(4) === 0
  const input = Buffer.concat([intact ? whole : mutate(whole, random), octets(random, 5)])
  const result = readProxyHeader(input, 0, input.length)
  if (intact) {
    const addresses = {
      sourceAddress: source.host,
      sourcePort: source.port,
      destinationAddress: destination.host,
      destinationPort: destination.port,
    }
    if (typeof result !== "object" || result.length !== whole.length || JSON.stringify(result.addresses) !== JSON.stringify(addresses))
      return { read: true, fault: `read as ${JSON.stringify(result)}`, input }
  }
  const known = typeof result === "object" ? result.length : 0
  if (known > Math.min(input.length, input[0] === 0x0d ? V2_LIMIT : V1_LIMIT)) return { read: true, fault: `${known} octets long`, input }
  if (result === UNFINISHED && input.length >= V2_LIMIT) return { read: false, fault: "unfinished beyond the limit", input }
  for (const end of ends(input, random)) {
    const part = readProxyHeader(input, 0, end)
    if (typeof part === "object" ? end < known || JSON.stringify(part) !== JSON.stringify(result) : part !== UNFINISHED && part !== result)
      return { read: false, fault: `${JSON.stringify(part)} at ${end}, ${JSON.stringify(result)} at the end`, input }
  }
  return { read: typeof result === "object", fault: null, input }
}

// ------------------------------------------------------------------------------------------------------------ ClientHello

function checkHello(random: Random): { read: boolean; fault: string | null; input: Buffer } {
  const serverName = random.pick(names.slice(1))
  const protocols = random.pick([["h2", "http/1.1"], ["http/1.1"], ["x"]])
  const padding = random.below(8) === 0 ? random.below(CLIENT_HELLO_LIMIT) : random.below(40)
  const message = helloMessage({ serverName, protocols, padding, session: random.pick([0, 32]) })
  const cuts = [...new Set(Array.from({ length: random.below(4) }, () => 1 + random.below(message.length - 1)))].sort((a, b) => a - b)
  const whole = records(message, ...cuts)
  const intact = random.below(4) === 0
  const input = intact ? Buffer.concat([whole, octets(random, 5)]) : mutate(whole, random)
  const result = new ClientHelloReader().read(input, input.length)
  const expected =
    whole.length <= CLIENT_HELLO_LIMIT ? JSON.stringify({ serverName: serverName.toLowerCase(), protocols }) : '"ClientHello too long"'
  const told = typeof result === "object" ? { serverName: result.serverName, protocols: result.protocols } : result
  if (intact && JSON.stringify(told) !== expected) return { read: true, fault: `read as ${JSON.stringify(result)}`, input }
  if (result === UNFINISHED && input.length >= CLIENT_HELLO_LIMIT) return { read: false, fault: "unfinished beyond the limit", input }
  const reader = new ClientHelloReader()
  let part: unknown = UNFINISHED
  for (const end of ends(input, random)) {
    part = reader.read(input, end)
    if (part !== UNFINISHED) break
  }
  // Octets behind a message in its record are seen late only when they come late.
  if (JSON.stringify(part) !== JSON.stringify(result))
    return { read: false, fault: `${JSON.stringify(part)} in pieces, ${JSON.stringify(result)} at once`, input }
  return { read: typeof result === "object", fault: null, input }
}

// --------------------------------------------------------------------------------------------------------------- protocol

const lines = [
  "GET / HTTP/1.1\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "POST /a?b HTTP/1.0\r\n",
  "\r\nPUT * HTTP/1.1\r\n",
  "SSH-2.0-x\r\n",
  "EHLO a\r\n",
]
const REQUEST = /^(?:\r\n)?[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [!-~]+ HTTP\//
const BEGINS_TLS = /^\x16\x03[\0-\x04][\0-\x40][\s\S]\x01/

/** The same decision by regular expressions, of all the octets. */
function expectedProtocol(text: string): number {
  if (text.startsWith(lines[1])) return HTTP2
  if (text.startsWith("\x16")) return BEGINS_TLS.test(text) ? TLS : -1
  return REQUEST.test(text) && !lines[1].startsWith(text) ? HTTP1 : -1
}

function checkProtocol(random: Random): { read: boolean; fault: string | null; input: Buffer } {
  const from = random.below(4) === 0 ? records(helloMessage({ serverName: random.pick(names) })) : Buffer.from(random.pick(lines), "latin1")
  const input = mutate(from, random)
  const result = new ProtocolDetector().read(input, input.length)
  const expected = expectedProtocol(input.toString("latin1"))
  if (expected === -1 ? result !== OTHER && result !== UNDECIDED : result !== expected)
    return { read: true, fault: `${result} instead of ${expected}`, input }
  const detector = new ProtocolDetector()
  let part: number = UNDECIDED
  for (const end of ends(input, random)) {
    part = detector.read(input, end)
    if (part !== UNDECIDED) break
  }
  return { read: result !== OTHER && result !== UNDECIDED, fault: part === result ? null : `${part} in pieces, ${result} at once`, input }
}

/** Makes and checks `inputs` random beginnings. `progress`: called every million. */
export function fuzz(inputs: number, random: Random, progress: (done: number) => void): Report {
  const read = { proxy: 0, hello: 0, protocol: 0 }
  const checks = [
    ["proxy", checkProxy],
    ["hello", checkHello],
    ["protocol", checkProtocol],
  ] as const
  for (let done = 0; done < inputs; ) {
    const [kind, check] = checks[done % 3]
    const found = check(random)
    done++
    if (found.read) read[kind]++
    if (found.fault !== null)
      return { inputs: done, read, problem: `${kind} ${JSON.stringify(found.input.toString("latin1"))}\n${found.fault}` }
    if (done % 1_000_000 === 0) progress(done)
  }
  return { inputs, read, problem: null }
}
