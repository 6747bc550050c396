// Random and mutated DNS messages: nothing throws, and what is read keeps to its bounds.

import { type Answer, encode } from "dns-packet"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type DnsAnswer, type Question, readAnswer, writeQuestion } from "../../gateway/discovery/dns-message.ts"
import { addressesOf, endpointsOf } from "../../gateway/discovery/records.ts"

const question: Question = { name: "api.internal", type: "SRV" }
const ID = 0x1234

const answers: Answer[] = [
  { type: "CNAME", name: "api.internal", ttl: 30, data: "web.internal" },
  { type: "SRV", name: "web.internal", ttl: 30, data: { target: "a.internal", port: 80, priority: 1, weight: 2 } },
  { type: "TXT", name: "web.internal", ttl: 30, data: "text" },
]
const additionals: Answer[] = [
  { type: "A", name: "a.internal", ttl: 2 ** 31, data: "10.0.0.1" },
  { type: "AAAA", name: "a.internal", ttl: 5, data: "fd00::1" },
]
const good = encode({ type: "response", id: ID, flags: 0, questions: [{ ...question, class: "IN" }], answers, additionals })

function check(answer: DnsAnswer | null): void {
  if (answer === null) return
  for (const record of answer.records) {
    expect(record.ttl).toBeGreaterThanOrEqual(0)
    expect(record.ttl).toBeLessThan(2 ** 31)
    expect(record.name).toBe(record.name.toLowerCase())
  }
  const { addresses } = addressesOf(answer.records, question.name, "A")
  const hosts = answer.records.flatMap((record) => (record.type === "SRV" ? [{ ...record, addresses }] : []))
  for (const { weight } of endpointsOf(hosts)) expect(weight > 0 && weight <= 1_000_000 && Number.isInteger(weight)).toBe(true)
}

describe("DNS messages", () => {
  test("are read as they are meant", () => {
    expect(readAnswer(good, question, ID)).toEqual({
      code: "NOERROR",
      truncated: false,
      records: [
        { type: "CNAME", name: "api.internal", ttl: 30, target: "web.internal" },
        { type: "SRV", name: "web.internal", ttl: 30, target: "a.internal", port: 80, priority: 1, weight: 2 },
        { type: "A", name: "a.internal", ttl: 0, address: "10.0.0.1" },
        { type: "AAAA", name: "a.internal", ttl: 5, address: "fd00::1" },
      ],
    })
  })

  test("of random octets are values, never exceptions", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (octets) => {
        const bytes = Buffer.from(octets)
        check(readAnswer(bytes, question, ID))
        // The same behind a header that passes.
        const behind = Buffer.concat([good.subarray(0, 12 + 18), bytes])
        check(readAnswer(behind, question, ID))
      }),
      { numRuns: 1500 },
    )
  })

  test("of which octets were changed, cut or repeated are values too", () => {
    const change = fc.record({ at: fc.nat(good.length - 1), to: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), fc.nat(good.length), fc.nat(40), (changes, end, more) => {
        const bytes = Buffer.from(Buffer.concat([good.subarray(0, end), good.subarray(0, more)]))
        for (const { at, to } of changes) if (at < bytes.length && at > 3) bytes[at] = to
        check(readAnswer(bytes, question, ID))
      }),
      { numRuns: 1500 },
    )
  })

  test("whose names point at each other end", () => {
    const header = Buffer.from(good.subarray(0, 12))
    // One question, whose name is a pointer to itself.
    expect(readAnswer(Buffer.concat([header, Buffer.from([0xc0, 12, 0, 33, 0, 1])]), question, ID)).toBeNull()
    expect(readAnswer(Buffer.concat([header, Buffer.from([0xc0, 14, 0xc0, 12, 0, 33, 0, 1])]), question, ID)).toBeNull()
  })

  test("that ask are read by others as they were written", () => {
    expect(readAnswer(writeQuestion(question, ID, true), question, ID)).toBeNull()
    const reply = writeQuestion(question, ID, true)
    reply[2] |= 0x80
    expect(readAnswer(reply, question, ID)).toEqual({ code: "NOERROR", truncated: false, records: [] })
  })
})
