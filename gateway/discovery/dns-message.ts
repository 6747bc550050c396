// DNS messages (RFC 1035) as far as endpoints need them: writes a question, and reads an answer to it out of octets that anyone
// may have sent. What can't be read, or answers something else, is null; nothing throws.

import { type Answer, decode, encode, type Packet, RECURSION_DESIRED } from "dns-packet"

export type QuestionType = "A" | "AAAA" | "SRV"

export interface Question {
  /** Lower case, without the dot at its end. */
  readonly name: string
  readonly type: QuestionType
}

/** `ttl` in seconds, `name` in lower case. */
export type DnsRecord =
  | { readonly type: "A" | "AAAA"; readonly name: string; readonly ttl: number; readonly address: string }
  | { readonly type: "CNAME"; readonly name: string; readonly ttl: number; readonly target: string }
  | {
      readonly type: "SRV"
      readonly name: string
      readonly ttl: number
      readonly target: string
      readonly port: number
      readonly priority: number
      readonly weight: number
    }

export interface DnsAnswer {
  /** Such as NOERROR, NXDOMAIN, SERVFAIL. */
  readonly code: string
  /** It was too long for a datagram: {@link records} are none, and to be asked for over TCP. */
  readonly truncated: boolean
  /** Of the answer and what came with it, in their order. */
  readonly records: readonly DnsRecord[]
}

/** Octets an answer over UDP may have (EDNS, RFC 6891): what passes every network in one piece. */
const UDP_SIZE = 1232
const HEADER = 12
/** Of the header's third octet. */
const IS_ANSWER = 0x80
const OPCODE = 0x78
const TRUNCATED = 0x02

/** `extended`: offers long answers over UDP, which old servers refuse. */
export function writeQuestion({ name, type }: Question, id: number, extended: boolean): Buffer {
  const packet: Packet = { type: "query", id, flags: RECURSION_DESIRED, questions: [{ type, name, class: "IN" }] }
  if (extended)
    packet.additionals = [
      { type: "OPT", name: ".", udpPayloadSize: UDP_SIZE, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] },
    ]
  return encode(packet)
}

/** Null: it is no answer to this question under this id, or not well-formed. */
export function readAnswer(bytes: Uint8Array, question: Question, id: number): DnsAnswer | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (buffer.length < HEADER || buffer.readUInt16BE(0) !== id) return null
  if ((buffer[2] & IS_ANSWER) === 0 || (buffer[2] & OPCODE) !== 0 || buffer.readUInt16BE(4) !== 1) return null
  const truncated = (buffer[2] & TRUNCATED) !== 0
  let packet: Packet & { rcode?: string }
  try {
    // What was cut off can't be read, and isn't used: only the question counts.
    packet = decode(truncated ? withoutRecords(buffer) : buffer)
  } catch {
    return null
  }
  const asked = packet.questions?.[0]
  if (asked === undefined || asked.type !== question.type || asked.class !== "IN" || lower(asked.name) !== question.name) return null
  const records: DnsRecord[] = []
  for (const answer of [...(packet.answers ?? []), ...(packet.additionals ?? [])]) {
    const record = readRecord(answer)
    if (record !== null) records.push(record)
  }
  return { code: packet.rcode ?? "", truncated, records }
}

function withoutRecords(buffer: Buffer): Buffer {
  const copy = Buffer.from(buffer)
  copy.fill(0, 6, HEADER)
  return copy
}

function readRecord(answer: Answer): DnsRecord | null {
  if (!("class" in answer) || answer.class !== "IN" || !("ttl" in answer)) return null
  const name = lower(answer.name)
  // A number that has the first bit counts as 0 (RFC 2181 §8).
  const ttl = (answer.ttl ?? 0) >= 2 ** 31 ? 0 : (answer.ttl ?? 0)
  switch (answer.type) {
    case "A":
    case "AAAA":
      return { type: answer.type, name, ttl, address: answer.data }
    case "CNAME":
      return { type: "CNAME", name, ttl, target: lower(answer.data) }
    case "SRV": {
      const { target, port, priority = 0, weight = 0 } = answer.data
      return { type: "SRV", name, ttl, target: lower(target), port, priority, weight }
    }
    default:
      return null
  }
}

function lower(name: string): string {
  return name.toLowerCase()
}
