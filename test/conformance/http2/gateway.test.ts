// The HTTP/2 conformance tables through one real gateway, by prior knowledge: each case on a connection of its own, its frames
// whole and cut in the middle. Behind the gateway is an HTTP/1.1 service, so that what it sees is what was understood.

import { createServer, type Server, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../../support/gateway.ts"
import { H2Client } from "../../support/h2-client.ts"
import { settingIds } from "../../support/h2-frames.ts"
import { Origin, type OriginConnection, type OriginRequest } from "../../support/origin.ts"
import { listen } from "../../support/ports.ts"
import type { Forwarded, FrameCase, Limits, Outcome } from "./case.ts"
import { fieldCases } from "./fields.ts"
import { frameCases } from "./frames.ts"
import { hpackCases } from "./hpack.ts"
import { stepCases } from "./steps.ts"
import { streamCases } from "./streams.ts"

/** Fields that the gateway adds, and those that frame the message. */
const OWN = /^(?:x-forwarded-(?:for|proto|host)|x-request-id|traceparent|host|content-length|transfer-encoding|connection): /
/** ms until an outcome must be there. */
const LIMIT = 5000
/** The stream of the request that tells whether the connection goes on: above those of all cases. */
const PROBE = 1001

let origin: Origin
/** Accepts connections and reads nothing from them. */
let stalled: Server
let gateway: Gateway
let limits: Limits
const held: OriginConnection[] = []
const gone: Socket[] = []

beforeAll(async () => {
  origin = await Origin.start((request, connection) => {
    if (request.target.startsWith("/hold")) held.push(connection)
    else if (request.target.startsWith("/body/")) connection.reply(200, "0123456789".repeat(Number(request.target.slice(6)) / 10))
    else connection.reply(200, "answer")
  })
  stalled = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on("error", () => {})
    gone.push(socket)
  })
  const { port } = await listen(stalled)
  gateway = await Gateway.start({
    config: {
      workers: 1,
      admin: false,
      accessLog: "off",
      listeners: [{ address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] }, stalled: { endpoints: [`127.0.0.1:${port}`] } },
      routes: [{ backends: "origin" }, { match: { path: "/stalled" }, backends: "stalled" }],
    },
  })
  const client = await H2Client.connect(gateway.port())
  await client.until(() => client.settings.size > 0, "the gateway's SETTINGS")
  limits = {
    maxFrameSize: client.settings.get(settingIds.MAX_FRAME_SIZE) ?? 16_384,
    headerTableSize: client.settings.get(settingIds.HEADER_TABLE_SIZE) ?? 4096,
  }
  client.destroy()
})

afterAll(async () => {
  await gateway?.stop()
  await origin?.stop()
  for (const socket of gone) socket.destroy()
  stalled?.close()
})

function received(request: OriginRequest): Required<Forwarded> {
  const [line, ...fields] = request.rawHead.slice(0, -4).split("\r\n")
  return {
    line,
    host: request.header("host") ?? "",
    fields: fields.filter((field) => !OWN.test(field)),
    body: request.body.toString("latin1"),
    trailers: request.trailers.map(([name, value]) => `${name}: ${value}`),
  }
}

/** What has come of the case: waits for the first sign that something has. */
async function outcome(client: H2Client, id: number, expected: readonly Outcome[], after: boolean): Promise<Outcome> {
  const stream = client.stream(id)
  const over = (): boolean => client.goaway !== null || client.ending !== null
  const waitsForNothing = expected.includes("ignored") || after
  // Rejects when the connection ends, which is an outcome too.
  if (waitsForNothing) await client.barrier(LIMIT).catch(() => {})
  await client
    .until(() => over() || waitsForNothing || stream.reset !== null || stream.head !== null, `outcome on stream ${id}`, LIMIT)
    .catch((error: Error) => {
      if (client.ending === null) throw error
    })
  if (client.goaway !== null && client.goaway.code !== "NO_ERROR") return `GOAWAY ${client.goaway.code}` as Outcome
  if (client.ending !== null) return "closed"
  if (stream.reset !== null) return `RST_STREAM ${stream.reset}` as Outcome
  if (after || stream.head === null) return "ignored"
  const response = await client.response(id)
  if (response.status === 200) expect(response.text()).toBe("answer")
  return String(response.status) as Outcome
}

async function run({ send, opening, later, stream = 1, expects, forwards, last }: FrameCase, cut: boolean): Promise<void> {
  const before = origin.requests.length
  const client = await H2Client.connect(gateway.port(), opening === undefined ? {} : { preface: false, settings: null })
  try {
    const frames = Buffer.concat([...(opening ?? []), ...(typeof send === "function" ? send(limits) : send)])
    if (cut) await client.sendCut(frames, frames.length >> 1)
    else client.send(frames)
    if (later !== undefined) {
      await client.response(stream)
      client.send(...later)
    }
    const expected: readonly Outcome[] = typeof expects === "string" ? [expects] : expects
    const got = await outcome(client, stream, expected, later !== undefined)
    expect(expected, client.describe()).toContain(got)
    if (got.startsWith("GOAWAY") || got === "closed") await client.closed(LIMIT)
    else if (last !== true) {
      // The stream's end was not the connection's.
      client.nextStream = PROBE
      const probe = await client.ask({ path: "/probe" }, LIMIT).catch((error: Error) => error)
      expect(probe, client.describe()).toMatchObject({ status: 200 })
    }
    expect(client.problems).toEqual([])
    const requests = origin.requests.slice(before).filter(({ target }) => target !== "/probe" && target !== "/hold")
    if (got === "200" && forwards !== undefined) {
      const expectedRequest = { host: "a", fields: [], body: "", trailers: [], ...forwards }
      expect(requests.map(received)).toContainEqual(expectedRequest)
    } else if (stream === 1 && later === undefined && /^(?:RST_STREAM|4|5)/.test(got)) {
      expect(requests.map(({ rawHead }) => rawHead)).toEqual([])
    }
    expect(origin.problems).toEqual([])
  } finally {
    client.destroy()
    for (const connection of held.splice(0)) connection.reset()
  }
}

describe("HTTP/2 requests, through the gateway", () => {
  test.each([...frameCases, ...streamCases, ...fieldCases, ...hpackCases])("$name", async (each) => {
    await run(each, false)
    await run(each, true)
  })
})

describe("HTTP/2 in steps, through the gateway", () => {
  test.each(stepCases)("$name", async ({ settings: parameters, options, run: steps }) => {
    const client = await H2Client.connect(gateway.port(), { settings: parameters, ...options })
    try {
      await client.until(() => client.settings.size > 0, "the gateway's SETTINGS")
      await steps({ client, port: gateway.port(), limits, origin })
      expect(client.problems).toEqual([])
      expect(origin.problems).toEqual([])
    } finally {
      client.destroy()
      for (const connection of held.splice(0)) connection.reset()
    }
  })
})
