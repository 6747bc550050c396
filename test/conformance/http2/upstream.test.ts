// The tables of responses through a real gateway, from a scripted HTTP/2 service to clients of HTTP/1.1 and HTTP/2.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../../support/gateway.ts"
import { H2Client } from "../../support/h2-client.ts"
import type { Field } from "../../support/h2-hpack.ts"
import { H2Origin, type H2Script } from "../../support/h2-origin.ts"
import { RawClient } from "../../support/raw-client.ts"
import { type ResponseCase, responseCases } from "./responses.ts"

const plain: H2Script = (arrival) => arrival.reply(200, "probe")

let origin: H2Origin
let gateway: Gateway

beforeAll(async () => {
  origin = await H2Origin.start(plain)
  gateway = await Gateway.start({
    config: {
      workers: 1,
      admin: false,
      accessLog: "off",
      listeners: [{ address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address], protocol: "h2" } },
      routes: [{ backends: "origin" }],
    },
  })
})

afterAll(async () => {
  await gateway?.stop()
  await origin?.stop()
})

interface Got {
  readonly status: number
  readonly fields: readonly Field[]
  readonly body: string
  readonly trailers: readonly Field[]
  readonly interim: number
}

/** What a client of `version` got; "cut" when it was plainly not whole. */
async function ask(version: "1.1" | "2", method: string): Promise<Got | "cut"> {
  if (version === "2") {
    const client = await H2Client.connect(gateway.port())
    try {
      const { status, fields, body, trailers, interim } = await client.ask({ method })
      expect(client.problems).toEqual([])
      return { status, fields, body: body.toString("latin1"), trailers, interim: interim.length }
    } catch (error) {
      if (!/was reset/.test(String(error))) throw error
      return "cut"
    } finally {
      client.destroy()
    }
  }
  const client = await RawClient.connect(gateway.port())
  try {
    client.send(`${method} / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n`)
    const { status, fields, body, trailers, interim } = await client.readResponse(method)
    return { status, fields, body: body.toString("latin1"), trailers, interim: interim.length }
  } catch (error) {
    if (!/before the rest|was reset inside|closed \(\w+\) before/.test(String(error))) throw error
    return "cut"
  } finally {
    client.destroy()
  }
}

async function run(version: "1.1" | "2", each: ResponseCase): Promise<void> {
  const { method = "GET", send, status, fields, body, trailers = [], interim = [], truncated, connection } = each
  let sender = -1
  origin.script((arrival) => {
    origin.script(plain)
    sender = arrival.connection
    arrival.peer.send(...send(arrival.id))
  })
  const got = await ask(version, method)
  if (truncated) {
    if (got !== "cut") expect(got.status).toBe(502)
  } else {
    expect(got).toMatchObject({ status })
    if (got === "cut") return
    if (status !== 502) {
      expect(got.fields.map(([name, value]) => `${name}: ${value}`)).toEqual(expect.arrayContaining([...(fields ?? [])]))
      expect(got.trailers.map(([name, value]) => `${name}: ${value}`)).toEqual(trailers)
      expect(got.interim).toBe(interim.length)
      if (body !== undefined) expect(got.body).toBe(body)
    } else expect(got.body).not.toContain(String(origin.port))
  }
  // The next request is served, and by the same connection where that has done nothing wrong.
  expect(await ask(version, "GET")).toMatchObject({ status: 200, body: "probe" })
  const next = origin.arrivals.at(-1)?.connection
  if (connection === "ends") {
    expect(next).not.toBe(sender)
    await origin.peers[sender].closed()
  } else expect(next).toBe(sender)
}

describe.each(["1.1", "2"] as const)("responses of HTTP/2 services to clients of HTTP/%s", (version) => {
  test.each(responseCases)("$name", (each) => run(version, each))

  test("the gateway broke no rule as a client", () => expect(origin.problems).toEqual([]))
})
