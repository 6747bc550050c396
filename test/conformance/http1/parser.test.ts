// The conformance table against the parsers alone: fed whole, cut at every octet, octet by octet, and cut at random.

import { describe, expect, test } from "vitest"
import { acceptedRequests } from "./accepted-requests.ts"
import type { Forwarded, RequestCase, ResponseCase } from "./case.ts"
import { byteByByte, cutAt, cutRandomly, places, Random } from "./cuts.ts"
import { refusedRequests } from "./refused-requests.ts"
import { responses } from "./responses.ts"
import { type Message, readRequests, readResponse } from "./sans-io.ts"

/** Cuts of one case: enough for every offset of all but the long ones. */
const CUTS = 700

function* segmentations(octets: Buffer, seed: number): Generator<Buffer[]> {
  const random = new Random(seed)
  const few = octets.length > 5000
  yield [octets]
  for (const at of places(octets, few ? 60 : CUTS, random)) yield cutAt(octets, at)
  if (octets.length < 100_000) yield byteByByte(octets)
  for (let i = 0; i < (few ? 10 : 100); i++) yield cutRandomly(octets, 1 + random.below(12), random)
}

function whole(forwarded: Forwarded): Message {
  return { line: forwarded.line, fields: forwarded.fields, body: forwarded.body ?? "", trailers: forwarded.trailers ?? [] }
}

function expectedRequests(request: RequestCase): unknown {
  // Without sockets, an end of the client's side is only what was not complete by then.
  const incomplete = request.end === true && (request.after === "cut" || request.name === "incomplete: head")
  const end = incomplete ? "incomplete" : request.end === true ? "kept" : request.after
  return { messages: (request.forwards ?? []).map(whole), end }
}

function expectedResponse(response: ResponseCase): unknown {
  const { gives, truncated = false } = response
  const message = gives === undefined ? null : truncated ? { ...whole(gives), body: "", trailers: [] } : whole(gives)
  return { message, truncated, reused: response.reused }
}

describe("HTTP/1.1 requests, parsers alone", () => {
  test("the table is as large as it should be", () => {
    expect(refusedRequests.length + acceptedRequests.length).toBeGreaterThan(250)
    expect(responses.length).toBeGreaterThan(100)
    for (const table of [[...refusedRequests, ...acceptedRequests], responses]) {
      const names = table.map((entry) => entry.name)
      expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
    }
  })

  test.each([...refusedRequests, ...acceptedRequests])("$name", (request) => {
    const octets = Buffer.from(request.send, "latin1")
    const expected = expectedRequests(request)
    for (const reframe of [false, true]) {
      for (const segments of segmentations(octets, 7)) {
        const read = readRequests(segments, reframe)
        // `expect` costs too much to be asked each time.
        if (JSON.stringify(read) !== JSON.stringify(expected))
          expect({ segments: segments.map((s) => s.toString("latin1", 0, 500)), ...read }).toEqual(expected)
      }
    }
  })
})

describe("HTTP/1.1 responses, parsers alone", () => {
  // How many 1xx are too many, and what an HTTP/1.0 client gets, is the connections' part.
  const table = responses.filter((response) => !(response.request ?? "").endsWith("1.0"))
  test.each(table)("$name", (response) => {
    const octets = Buffer.from(response.send, "latin1")
    const method = (response.request ?? "GET").split(" ")[0]
    const expected = expectedResponse(response)
    for (const reframe of [false, true]) {
      for (const segments of segmentations(octets, 7)) {
        const { interim, ...read } = readResponse(segments, response.end === true, method, reframe)
        if (read.truncated && read.message !== null) {
          read.message.body = ""
          read.message.trailers = []
        }
        if (JSON.stringify(read) !== JSON.stringify(expected))
          expect({ segments: segments.map((s) => s.toString("latin1", 0, 500)), ...read }).toEqual(expected)
        if (response.gives !== undefined) expect(interim).toEqual(response.interim ?? [])
      }
    }
  })
})
