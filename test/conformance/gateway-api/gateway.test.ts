// The conformance table, spoken to a running gateway: real listeners, real backends, every request as it stands.

import { createHash } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import WebSocket from "ws"
import { within } from "../../support/deadline.ts"
import { Gateway } from "../../support/gateway.ts"
import { field, type Head } from "../../support/http-message.ts"
import { Origin, type OriginScript } from "../../support/origin.ts"
import { exchange, type Response } from "../../support/raw-client.ts"
import { type ConformanceCase, type ConformanceRequest, documentOf, loadTable } from "./cases.ts"

const table = loadTable()
const deployments = [...new Set(table.cases.flatMap(({ services }) => Object.values(services)))]
const origins = new Map<string, Origin>()
let gateway: Gateway

/** What the backend answers for the request at hand. */
let backendHeaders: Readonly<Record<string, string>> = {}

function deployment(name: string): OriginScript {
  return (request, connection) => {
    const key = request.header("sec-websocket-key")
    if (key !== null) {
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
      connection.write(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      )
      return
    }
    const delay = Number(/[?&]delay=(\d+)s/.exec(request.target)?.[1] ?? 0)
    const answer = (): void =>
      connection.reply(
        200,
        JSON.stringify({ name, method: request.method, target: request.target, fields: request.fields }),
        backendHeaders,
      )
    if (delay === 0) answer()
    else setTimeout(answer, delay * 1000)
  }
}

/** Sends an unmasked copy of the client's frame back: a short text message. */
function echoFrame(frame: Buffer): Buffer {
  const length = frame[1] & 0x7f
  const mask = frame.subarray(2, 6)
  const data = Buffer.from(frame.subarray(6, 6 + length).map((octet, i) => octet ^ mask[i % 4]))
  return Buffer.concat([Buffer.from([frame[0], length]), data])
}

beforeAll(async () => {
  for (const name of deployments) {
    origins.set(name, await Origin.start(deployment(name), { onTunnel: (frame, connection) => connection.write(echoFrame(frame)) }))
  }
  const documents = table.cases.map(documentFor)
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      accessLog: "off",
      listeners: documents.flatMap(({ listeners }) => listeners),
      services: Object.assign({}, ...documents.map(({ services }) => services)),
      routes: documents.flatMap(({ routes }) => routes),
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  for (const origin of origins.values()) await origin.stop()
})

type Backends = string | readonly (string | { readonly service: string })[]
interface Document {
  readonly listeners: readonly { readonly name: string }[]
  readonly services: Readonly<Record<string, unknown>>
  readonly routes: readonly { readonly name?: string; readonly listeners?: readonly string[]; readonly backends?: Backends }[]
}

/** Names of one case, told apart from another's. */
const own = (index: number, name: string): string => `case-${index}-${name}`

// All cases share one gateway: each has its own listeners, services and route names, and its routes serve its listeners alone.
function documentFor(conformance: ConformanceCase, index: number): Document {
  const document = documentOf(
    conformance,
    () => "127.0.0.1:0",
    (name) => (origins.get(name) as Origin).address,
  ) as unknown as Document
  const all = document.listeners.map(({ name }) => name)
  const backend = (each: string | { readonly service: string }): string | { readonly service: string } =>
    typeof each === "string" ? own(index, each) : { ...each, service: own(index, each.service) }
  return {
    listeners: document.listeners.map((listener) => ({ ...listener, name: own(index, listener.name) })),
    services: Object.fromEntries(Object.entries(document.services).map(([name, service]) => [own(index, name), service])),
    routes: document.routes.map((route, i) => {
      const { backends } = route
      const renamed =
        backends === undefined ? {} : { backends: typeof backends === "string" ? own(index, backends) : backends.map(backend) }
      const listeners = (route.listeners ?? all).map((name) => own(index, name))
      return { ...route, ...renamed, name: own(index, route.name ?? String(i)), listeners }
    }),
  }
}

function send(port: number, asked: ConformanceRequest): Promise<Response> {
  const lines = Object.entries(asked.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
  backendHeaders = asked.backendHeaders ?? {}
  return exchange(
    port,
    `${asked.method} ${asked.path} HTTP/1.1\r\nhost: ${asked.host ?? `127.0.0.1:${port}`}\r\n${lines.join("")}\r\n`,
    asked.method,
  )
}

function expectHeaders(
  head: { fields: Head["fields"] },
  headers: Readonly<Record<string, string>> = {},
  absent: readonly string[] = [],
): void {
  for (const [name, value] of Object.entries(headers)) {
    const values = head.fields.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map((entry) => entry[1])
    expect(values.join(","), name).toBe(value)
  }
  for (const name of absent) expect(field(head, name), name).toBeNull()
}

function expectResponse(conformance: ConformanceCase, asked: ConformanceRequest, response: Response): string | null {
  const wanted = asked.expect
  if (wanted.status !== undefined) expect(wanted.status).toContain(response.status)
  const seen = response.header("content-type") === null && response.text().startsWith("{") ? JSON.parse(response.text()) : null
  if (wanted.backend !== undefined) expect(seen?.name).toBe(wanted.backend)
  const { forwarded, redirect } = wanted
  if (forwarded !== undefined) {
    if (forwarded.method !== undefined) expect(seen.method).toBe(forwarded.method)
    if (forwarded.path !== undefined) expect(seen.target).toBe(forwarded.path)
    if (forwarded.host !== undefined) expect(field(seen, "host")).toBe(forwarded.host)
    expectHeaders(seen, forwarded.headers, forwarded.absentHeaders)
  }
  if (wanted.response !== undefined) expectHeaders(response, wanted.response.headers, wanted.response.absentHeaders)
  if (wanted.forwardedHeaderNamesBackend !== undefined) {
    const name = wanted.forwardedHeaderNamesBackend.toLowerCase()
    const values = (seen.fields as Head["fields"]).filter(([key]) => key === name)
    expect(values).toHaveLength(1)
    expect(seen.name.startsWith(values[0][1])).toBe(true)
  }
  if (redirect !== undefined) {
    const [, scheme, host, port, path] = /^(\w+):\/\/([^/:]+)(?::(\d+))?(\/.*)$/.exec(response.header("location") ?? "") ?? []
    // All listeners are plain HTTP here, so that a redirect that keeps the scheme of an https one is judged there too.
    const plain = conformance.listeners.find(({ name }) => name === asked.listener)?.scheme === "http"
    if (redirect.scheme !== undefined && plain) expect(scheme).toBe(redirect.scheme)
    if (redirect.host !== undefined) expect(host).toBe(redirect.host)
    if (redirect.path !== undefined) expect(path).toBe(redirect.path)
    // The listener is bound to some port; which ports appear is judged without a socket, in router.test.ts.
    if (redirect.port?.some((each) => each !== null && /^(?!80$|443$)/.test(each))) expect(port).toBeDefined()
  }
  return seen?.name ?? null
}

async function expectEcho(port: number, asked: ConformanceRequest): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${asked.path}`, {
    headers: { ...asked.headers, ...(asked.host === undefined ? {} : { host: asked.host }) },
  })
  const answer = new Promise<string>((resolve, reject) => {
    socket.once("error", reject)
    socket.once("open", () => socket.send("hello"))
    socket.once("message", (data) => resolve(String(data)))
  })
  expect(await within(answer, "the echo")).toBe("hello")
  socket.terminate()
}

describe.each(table.cases.map((conformance, index) => ({ ...conformance, index })))("$name", (conformance) => {
  test.each(conformance.requests)("$id: $method $path", async (asked) => {
    const port = gateway.port(own(conformance.index, asked.listener))
    if (asked.expect.echo === true) return expectEcho(port, asked)
    const count = asked.count ?? 1
    const shares = new Map<string, number>()
    for (let i = 0; i < count; i++) {
      const name = expectResponse(conformance, asked, await send(port, asked))
      if (name === null) continue
      for (const [service, behind] of Object.entries(conformance.services)) {
        if (behind === name) shares.set(service, (shares.get(service) ?? 0) + 1 / count)
      }
    }
    for (const [service, share] of Object.entries(asked.expect.shares ?? {})) {
      const tolerance = share === 0 ? 0 : (asked.expect.shareTolerance ?? 0)
      expect(Math.abs((shares.get(service) ?? 0) - share), service).toBeLessThanOrEqual(tolerance)
    }
  })
})
