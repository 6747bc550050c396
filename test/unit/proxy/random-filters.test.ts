// Filters that pause and hold bodies, heads and trailers at random and let them go a little later: whatever they do, each
// client gets its own octets, and nothing waits for ever.

import { afterEach, expect, test } from "vitest"
import type { BodyBuffer } from "../../../gateway/filter/body-buffer.ts"
import { CONTINUE, type FilterStream, HOLD, type HttpFilter, PAUSE, type StreamFilter } from "../../../gateway/filter/filter.ts"
import { actingFilter, type Behaviour } from "../../support/acting-filter.ts"
import { sleep, until } from "../../support/deadline.ts"
import { ExchangeServer } from "../../support/exchanges.ts"
import { Origin } from "../../support/origin.ts"

const ROUNDS = 12
const CLIENTS = 4

type Direction = "continueRequest" | "continueResponse"

/** Numbers that only look random; sockets decide in which order they are used. */
class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * n)
  }

  percent(n: number): boolean {
    return this.below(100) < n
  }

  pick<T>(...from: readonly T[]): T {
    return from[this.below(from.length)]
  }

  text(length: number): string {
    let text = ""
    while (text.length < length) text += String.fromCharCode(97 + this.below(26)) + text.slice(0, this.below(4000))
    return text.slice(0, length)
  }

  chunks(text: string): string {
    let out = ""
    for (let i = 0; i < text.length; ) {
      const piece = text.slice(i, i + 1 + this.below(30_000))
      out += `${piece.length.toString(16)}\r\n${piece}\r\n`
      i += piece.length
    }
    return `${out}0\r\n${this.percent(40) ? "x-end: 1\r\n" : ""}\r\n`
  }
}

function randomFilter(chance: Chance): HttpFilter {
  const later = (stream: FilterStream, self: StreamFilter, way: Direction): void => {
    setTimeout(() => stream[way](self), chance.below(6))
  }
  const body =
    (way: Direction) =>
    (stream: FilterStream, _body: BodyBuffer, _end: boolean, self: StreamFilter): 0 | 1 | 2 => {
      if (chance.percent(40)) return CONTINUE
      if (chance.percent(20)) stream[way](self)
      else later(stream, self, way)
      return chance.pick(PAUSE, HOLD)
    }
  const waits = (stream: FilterStream, self: StreamFilter, way: Direction): 0 | 1 => {
    if (chance.percent(60)) return CONTINUE
    later(stream, self, way)
    return PAUSE
  }
  const behaviour: Behaviour = {}
  if (chance.percent(60)) behaviour.requestBody = body("continueRequest")
  if (chance.percent(60)) behaviour.responseBody = body("continueResponse")
  if (chance.percent(40)) behaviour.requestHeaders = (stream, self) => waits(stream, self, "continueRequest")
  if (chance.percent(40)) behaviour.responseHeaders = (stream, self) => waits(stream, self, "continueResponse")
  if (chance.percent(30)) behaviour.requestTrailers = (stream, _, self) => waits(stream, self, "continueRequest")
  if (chance.percent(30)) behaviour.responseTrailers = (stream, _, self) => waits(stream, self, "continueResponse")
  return actingFilter(behaviour, 16 << 20)
}

/** The bodies of the responses in `text`, one after the other. */
function bodiesOf(text: string): string[] {
  const bodies: string[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\r\n\r\n", at) + 4
    if (end < 4) throw new Error(`cut off: ${text.slice(at)}`)
    const head = text.slice(at, end)
    at = end
    const length = /content-length: (\d+)/.exec(head)
    if (!head.startsWith("HTTP/1.1 200 ")) throw new Error(head)
    if (length !== null) {
      bodies.push(text.slice(at, at + Number(length[1])))
      at += Number(length[1])
      continue
    }
    let body = ""
    for (;;) {
      const line = text.indexOf("\r\n", at)
      const size = Number.parseInt(text.slice(at, line), 16)
      if (!(size > 0)) {
        at = text.indexOf("\r\n\r\n", at) + 4
        break
      }
      body += text.slice(line + 2, line + 2 + size)
      at = line + 2 + size + 2
    }
    bodies.push(body)
  }
  return bodies
}

const open: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop()
})

test.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))("filters that wait lose and double nothing (%i)", async (seed) => {
  const chance = new Chance(seed)
  const origin = await Origin.start(async (request, connection) => {
    const body = request.body.toString("latin1")
    if (chance.percent(30)) await sleep(chance.below(5))
    const framing = chance.below(3)
    if (framing === 0) connection.reply(200, body)
    else if (framing === 1) {
      const whole = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chance.chunks(body)}`
      const half = chance.below(whole.length)
      connection.write(whole.slice(0, half))
      await sleep(chance.below(4))
      connection.write(whole.slice(half))
    } else {
      connection.write(`HTTP/1.1 200 OK\r\n\r\n${body}`)
      connection.end()
    }
  })
  const filters = Array.from({ length: 1 + chance.below(3) }, () => randomFilter(chance))
  const server = await ExchangeServer.start(filters, origin.port)
  open.push(server, origin)
  const clients = Array.from({ length: CLIENTS }, async () => {
    const bodies = Array.from({ length: 1 + chance.below(4) }, () => chance.text(chance.pick(0, 1, 10, 3000, 70_000, 200_000)))
    let sent = ""
    for (let i = 0; i < bodies.length; i++) {
      const head = `POST /x HTTP/1.1\r\nhost: a\r\n${i === bodies.length - 1 ? "connection: close\r\n" : ""}`
      if (chance.percent(50)) sent += `${head}content-length: ${bodies[i].length}\r\n\r\n${bodies[i]}`
      else sent += `${head}transfer-encoding: chunked\r\n\r\n${chance.chunks(bodies[i])}`
    }
    const half = chance.below(sent.length)
    expect(bodiesOf(await server.send([sent.slice(0, half), sent.slice(half)]))).toEqual(bodies)
  })
  await Promise.all(clients)
  await until(() => server.running === 0, "the end of all exchanges")
  expect(origin.problems).toEqual([])
})
