// The short run of the HTTP/1.1 fuzzers, with a new seed each time, and properties over hand-picked fragments.

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { errors } from "../../gateway/errors.ts"
import { ChunkedDecoder, type ChunkSink, DONE } from "../../gateway/http1/chunked.ts"
import { NEED_MORE, REFUSED, RequestParser } from "../../gateway/http1/request-parser.ts"
import { Random } from "../conformance/http1/cuts.ts"
import { Checker } from "./http1-check.ts"
import { fuzz } from "./http1-fuzz.ts"
import { available, Comparison } from "./llhttp.ts"

const INPUTS = 40_000

const fragments = [
  ..."GET POST / HTTP/1.1 HTTP/1.0 Host: a Content-Length: Transfer-Encoding: chunked Connection: close 0 5 1 a ; , : \0 \t \r \n \x7f \xff".split(
    " ",
  ),
  " ",
  "\r\n",
  "\r\n\r\n",
  "0\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n",
  "HTTP/1.1 200 OK\r\n",
]
const wire = fc.array(fc.oneof(fc.constantFrom(...fragments), fc.string({ unit: "binary-ascii", maxLength: 3 })), { maxLength: 30 })

describe("HTTP/1.1 parsers, fuzzed", () => {
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff)
  test(`random messages, seed ${seed}`, async () => {
    const report = fuzz(INPUTS, new Random(seed), new Checker(), available ? await Comparison.load() : null, () => {})
    expect(report.problem).toBe(null)
    expect(report.inputs).toBe(INPUTS)
  })

  // Bun and Deno have no llhttp to compare with.
  test.runIf(available)("requests are read as llhttp, Node's own parser, reads them", async () => {
    const comparison = await Comparison.load()
    const report = fuzz(INPUTS, new Random(1), new Checker(), comparison, () => {})
    expect(report.problem).toBe(null)
    expect(report.agreed).toBeGreaterThan(INPUTS / 50)
    // The comparison itself would notice: a request that is no request to us.
    expect(comparison.compare(Buffer.from("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))).toBe(null)
  })

  test.each(["request", "response", "chunked"] as const)("%s: fragments in any order", (kind) => {
    const checker = new Checker()
    fc.assert(
      fc.property(wire, fc.integer(), (pieces, cuts) => {
        expect(checker.check(kind, Buffer.from(pieces.join(""), "latin1"), new Random(cuts))).toBe(null)
      }),
      { numRuns: 3000 },
    )
  })

  test.each(["request", "response", "chunked"] as const)("%s: any octets", (kind) => {
    const checker = new Checker()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer(), (octets, cuts) => {
        expect(checker.check(kind, Buffer.from(octets), new Random(cuts))).toBe(null)
      }),
      { numRuns: 1000 },
    )
  })

  test("a well-formed chunked body comes out as it went in, whatever its chunks and cuts", () => {
    const decoder = new ChunkedDecoder()
    const chunk = fc.tuple(
      fc.uint8Array({ minLength: 1, maxLength: 60 }),
      fc.constantFrom("", ";a", ";a=b", '; a="\xe4"'),
      fc.nat(5),
      fc.boolean(),
    )
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 12 }), fc.array(fc.nat(500), { maxLength: 8 }), fc.boolean(), (chunks, cuts, reframe) => {
        const parts: Buffer[] = []
        for (const [data, extension, noughts, upper] of chunks) {
          const size = data.length.toString(16)
          parts.push(
            Buffer.from(`${"0".repeat(noughts)}${upper ? size.toUpperCase() : size}${extension}\r\n`, "latin1"),
            Buffer.from(data),
            Buffer.from("\r\n"),
          )
        }
        parts.push(Buffer.from("0\r\n\r\n"))
        const octets = Buffer.concat(parts)
        let got = ""
        const sink: ChunkSink = {
          onChunkBytes: (buffer, from, to) => {
            got += buffer.toString("latin1", from, to)
          },
        }
        decoder.reset(reframe, 0)
        const places = [...new Set([0, ...cuts.filter((at) => at < octets.length), octets.length])].sort((a, b) => a - b)
        let result = 0
        for (let i = 1; i < places.length; i++) result = decoder.read(octets, places[i - 1], places[i], sink)
        expect(result).toBe(DONE)
        expect(decoder.end).toBe(octets.length)
        const data = Buffer.concat(chunks.map(([bytes]) => bytes)).toString("latin1")
        expect(decoder.total).toBe(data.length)
        const expected = chunks.map(([bytes]) => Buffer.from(bytes).toString("latin1"))
        if (reframe) {
          // Sizes are spelled as they came or anew; the data between them is the same.
          let at = 0
          for (const text of expected) {
            const line = /^0*([0-9a-f]+)\r\n/i.exec(got.slice(at, at + 20))
            expect(Number.parseInt(line?.[1] ?? "", 16)).toBe(text.length)
            at += (line?.[0].length ?? 0) + text.length + 2
            expect(got.slice(at - 2 - text.length, at)).toBe(`${text}\r\n`)
          }
          expect(at).toBe(got.length)
        } else expect(got).toBe(data)
      }),
      { numRuns: 1000 },
    )
  })

  test("what never ends is refused at its limit, octet by octet too", () => {
    const limits = { startLine: 100, head: 300, fields: 10 }
    const endless = {
      "a method": [() => "A", "uriTooLong", 101],
      "a target": [(i: number) => (i < 5 ? "GET /"[i] : "a"), "uriTooLong", 101],
      "a name": [(i: number) => `GET / HTTP/1.1\r\n${"a".repeat(400)}`[i], "headTooLarge", 300],
      "white space": [(i: number) => `GET / HTTP/1.1\r\na:${" ".repeat(400)}`[i], "headTooLarge", 300],
      "a value": [(i: number) => `GET / HTTP/1.1\r\na: ${"b".repeat(400)}`[i], "headTooLarge", 300],
      fields: [(i: number) => `GET / HTTP/1.1\r\n${"a:b\r\n".repeat(80)}`[i], "headTooLarge", 69],
    } as const
    for (const [what, [octet, code, at]] of Object.entries(endless)) {
      const parser = new RequestParser(limits)
      let i = 0
      while (i < 1000) {
        const result = parser.read(Buffer.from(octet(i), "latin1"), 0, 1)
        i++
        if (result === REFUSED) break
        expect(result).toBe(NEED_MORE)
      }
      expect([what, parser.error, i]).toEqual([what, code, at])
      expect(errors[code].close).toBe(true)
    }
  })
})
