// The conformance table through a real gateway: raw sockets on both sides, each case sent whole, cut in a few places, and
// octet by octet when it is small.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { errors } from "../../../gateway/errors.ts"
import { sleep } from "../../support/deadline.ts"
import { Gateway } from "../../support/gateway.ts"
import { fieldValues } from "../../support/http-message.ts"
import { Origin, type OriginRequest, type OriginScript } from "../../support/origin.ts"
import { RawClient, type Response } from "../../support/raw-client.ts"
import { acceptedRequests } from "./accepted-requests.ts"
import type { Forwarded, RequestCase, ResponseCase } from "./case.ts"
import { byteByByte, cutAt, Random } from "./cuts.ts"
import { refusedRequests } from "./refused-requests.ts"
import { responses } from "./responses.ts"
import { bodyLimit } from "./sans-io.ts"

/** Cases that run at the same time, each on a listener, a service and an origin of its own: as many as Vitest runs concurrently. */
const LANES = 5
/** Octets up to which a case is also sent one by one. */
const SMALL = 90
/** ms for a request head. */
const HEAD_TIMEOUT = 5000

/** Fields that the gateway adds to every request. */
const ADDED = /^(?:x-forwarded-(?:for|proto|host)|x-request-id|traceparent): /

const probe = "GET /probe HTTP/1.1\r\nhost: probe\r\n\r\n"

class Lane {
  /** Octets the origin received so far. */
  octets = 0
  port = 0
  script: OriginScript = (_request, connection) => connection.reply(200, "answer")
  readonly #origins: Origin[] = []

  get origin(): Origin {
    return this.#origins[0]
  }

  static async start(): Promise<Lane> {
    const lane = new Lane()
    const origin = await Origin.start((request, connection) => lane.script(request, connection), {
      onConnection: ({ socket }) => {
        socket.on("data", (bytes: Buffer) => {
          lane.octets += bytes.length
        })
      },
    })
    lane.#origins.push(origin)
    return lane
  }
}

const lanes: Lane[] = []
const free: Lane[] = []
let gateway: Gateway

beforeAll(async () => {
  for (let i = 0; i < LANES; i++) lanes.push(await Lane.start())
  gateway = await Gateway.start({
    config: {
      workers: 1,
      admin: false,
      accessLog: "off",
      listeners: lanes.map((_, i) => ({
        name: `lane${i}`,
        address: "127.0.0.1:0",
        limits: { body: bodyLimit },
        timeouts: { head: `${HEAD_TIMEOUT}ms` },
      })),
      services: Object.fromEntries(lanes.map((lane, i) => [`lane${i}`, { endpoints: [lane.origin.address] }])),
      routes: lanes.map((_, i) => ({ name: `lane${i}`, listeners: [`lane${i}`], backends: `lane${i}` })),
    },
  })
  lanes.forEach((lane, i) => {
    lane.port = gateway.port(`lane${i}`)
  })
  free.push(...lanes)
})

afterAll(async () => {
  await gateway?.stop()
  for (const lane of lanes) await lane.origin.stop()
})

async function onLane(run: (lane: Lane) => Promise<void>): Promise<void> {
  const lane = free.pop()
  if (lane === undefined) throw new Error("more cases at once than lanes")
  try {
    await run(lane)
  } finally {
    free.push(lane)
  }
}

function segmentations(text: string): Buffer[][] {
  const octets = Buffer.from(text, "latin1")
  const all: Buffer[][] = [[octets]]
  if (octets.length < 2) return all
  const random = new Random(octets.length)
  const headEnd = octets.indexOf("\r\n\r\n")
  for (const at of [1 + random.below(octets.length - 1), headEnd > 0 ? headEnd + 3 : octets.length - 1]) all.push(cutAt(octets, at))
  all.push([
    octets.subarray(0, octets.length >> 2),
    octets.subarray(octets.length >> 2, octets.length - 1),
    octets.subarray(octets.length - 1),
  ])
  if (octets.length <= SMALL) all.push(byteByByte(octets))
  return all
}

function asForwarded(message: Pick<Response, "startLine" | "fields" | "body" | "trailers">): Forwarded {
  return {
    line: message.startLine,
    fields: message.fields.map(([name, value]) => `${name}: ${value}`),
    body: message.body.toString("latin1"),
    trailers: message.trailers.map(([name, value]) => `${name}: ${value}`),
  }
}

// `raw`: fields as octets, since white space that ends a value is of interest, and test/support trims more than that.
function received(request: OriginRequest): Forwarded {
  const [line, ...fields] = request.rawHead.slice(0, -4).split("\r\n")
  return { ...asForwarded(request), line, fields: fields.filter((field) => !ADDED.test(field)) }
}

function whole(forwarded: Forwarded, origin = ""): Forwarded {
  const { line, fields, body = "", trailers = [] } = forwarded
  return { line, fields: fields.map((field) => field.replace("@origin", origin)), body, trailers }
}

async function runRequest(lane: Lane, request: RequestCase, segments: readonly Buffer[]): Promise<void> {
  const { origin } = lane
  const forwards = request.forwards ?? []
  const before = origin.requests.length
  const octetsBefore = lane.octets
  const client = await RawClient.connect(lane.port)
  try {
    await client.sendSegments(segments, segments.length > 10 ? 0 : 2)
    if (request.end) client.end()
    for (const { line } of forwards) {
      const response = await client.readResponse(line.split(" ")[0])
      expect(response.startLine).toBe("HTTP/1.1 200 scripted")
      if (!line.startsWith("HEAD")) expect(response.text()).toBe("answer")
    }
    if (typeof request.after === "number") {
      const response = await client.readResponse()
      expect(response.status).toBe(request.after)
      expect(fieldValues(response, "connection")).toEqual(["close"])
    }
    if (request.after === "kept") {
      client.send(probe)
      const response = await client.readResponse()
      expect([response.status, response.text()]).toEqual([200, "answer"])
      expect(origin.requests.pop()?.target).toBe("/probe")
      expect(client.unread.length).toBe(0)
    } else {
      expect((await client.readToEnd()).toString("latin1")).toBe("")
    }
    expect(origin.requests.slice(before).map(received)).toEqual(forwards.map((forwarded) => whole(forwarded, origin.address)))
    // A head that was refused has not reached anybody in part either.
    if (typeof request.after === "number" && forwards.length === 0 && !/^(?:chunk|last chunk|trailer|body)/.test(request.name)) {
      expect(lane.octets).toBe(octetsBefore)
    }
    expect(origin.problems).toEqual([])
  } finally {
    client.destroy()
  }
}

async function runResponse(lane: Lane, response: ResponseCase, segments: readonly Buffer[]): Promise<void> {
  const { origin } = lane
  const requestLine = response.request ?? "GET / HTTP/1.1"
  let sent: Promise<void> = Promise.resolve()
  let connectionNumber = -1
  lane.script = (request, connection) => {
    if (request.target === "/probe") return connection.reply(200, "answer")
    connectionNumber = connection.number
    sent = (async () => {
      for (const segment of segments) {
        connection.write(segment)
        await sleep(segments.length > 10 ? 0 : 2)
      }
      if (response.end) connection.end()
    })()
  }
  const client = await RawClient.connect(lane.port)
  try {
    const { gives, truncated = false } = response
    client.send(`${requestLine}\r\nHost: a\r\n${truncated ? "Connection: close\r\n" : ""}\r\n`)
    if (truncated) {
      // A reply of the gateway's while nothing has left, else a part that can't be taken for the whole: without a length,
      // only a reset says so.
      const partly = await client.readToEnd()
      const head = partly
        .toString("latin1")
        .split("\r\n\r\n")[0]
        .replace(gives?.fields?.includes("connection: close") ? "" : "\r\nconnection: close", "")
      if (head.startsWith("HTTP/1.1 502 ")) {
        expect(partly.toString("latin1")).toContain(errors.upstreamProtocol.text)
      } else if (partly.length > 0) {
        expect(head.split("\r\n")).toEqual([gives?.line, ...(gives?.fields ?? [])])
        if (!/^(?:content-length|transfer-encoding):/m.test(head)) expect(client.ending).toBe("reset")
        expect(partly.toString("latin1")).not.toMatch(/\r\n0\r\n\r\n$/)
      }
    } else {
      const got = await client.readResponse(requestLine.split(" ")[0])
      const interim = got.interim.map((head) => [head.startLine, ...head.fields.map(([name, value]) => `${name}: ${value}`)])
      if (gives === undefined) {
        expect(got.status).toBe(502)
        expect(got.text()).not.toContain(String(origin.port))
      } else {
        expect({ interim, ...asForwarded(got) }).toEqual({ interim: response.interim ?? [], ...whole(gives) })
      }
    }
    await sent
    // What came too much has arrived by now.
    if (!response.reused) await sleep(10)
    const again = await RawClient.connect(lane.port)
    try {
      again.send(probe)
      expect((await again.readResponse()).text()).toBe("answer")
    } finally {
      again.destroy()
    }
    expect(origin.requests.at(-1)?.connection === connectionNumber).toBe(response.reused)
    expect(client.unread.toString("latin1")).toBe("")
    expect(origin.problems).toEqual([])
  } finally {
    client.destroy()
    lane.script = (_request, connection) => connection.reply(200, "answer")
  }
}

describe.concurrent("HTTP/1.1 requests, through the gateway", () => {
  test.each([...refusedRequests, ...acceptedRequests])("$name", async (request) => {
    await onLane(async (lane) => {
      for (const segments of segmentations(request.send)) await runRequest(lane, request, segments)
    })
  })

  test("limit: a head that doesn't arrive in time", async () => {
    await onLane(async (lane) => {
      const client = await RawClient.connect(lane.port)
      client.send("GET /x HTTP/1.1\r\nHost: a\r\n")
      const started = performance.now()
      const response = await client.readResponse()
      expect(response.status).toBe(408)
      expect(performance.now() - started).toBeGreaterThan(HEAD_TIMEOUT - 500)
      expect((await client.readToEnd()).length).toBe(0)
      client.destroy()
    })
  })

  test("limit: an empty line alone begins no head", async () => {
    await onLane(async (lane) => {
      const client = await RawClient.connect(lane.port)
      client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n\r\n")
      expect((await client.readResponse()).status).toBe(200)
      await sleep(HEAD_TIMEOUT + 500)
      expect([client.ending, client.unread.length]).toEqual([null, 0])
      client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
      expect((await client.readResponse()).status).toBe(200)
      client.destroy()
    })
  })
})

describe.concurrent("HTTP/1.1 responses, through the gateway", () => {
  test.each(responses)("$name", async (response) => {
    await onLane(async (lane) => {
      for (const segments of segmentations(response.send)) await runResponse(lane, response, segments)
    })
  })
})
