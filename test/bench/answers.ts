// One answer looked at closely before thousands are counted: status, size, and what was spoken.

import { createHash, randomBytes } from "node:crypto"
import { type ClientHttp2Stream, connect as connectHttp2 } from "node:http2"
import { request } from "node:https"
import { connect as connectTcp } from "node:net"
import type { TLSSocket } from "node:tls"
import { within } from "../support/deadline.ts"
import { get } from "../support/raw-client.ts"
import { ECHO } from "./octets.ts"
import { callBody, requestFields, type Scenario } from "./scenarios.ts"

/** Throws when a proxy does not do what the scenario asks of it. `ca`: the certificate it must show, PEM, with TLS. */
export async function checkAnswer(scenario: Scenario, port: number, ca: string | undefined): Promise<void> {
  const { downstream, tls } = scenario
  if (downstream === "tcp") await within(checkEcho(port), "echo of octets")
  else if (downstream === "h2") await within(checkHttp2(scenario, port, ca), "answer over HTTP/2")
  else if (tls) await within(checkTls(scenario, port, ca), "answer over TLS")
  else await checkHttp1(scenario, port)
}

function checkHead(scenario: Scenario, status: unknown, octets: number): void {
  if (status !== 200 || octets !== scenario.responseBody) throw new Error(`it answered ${status} with ${octets} octets`)
}

async function checkHttp1(scenario: Scenario, port: number): Promise<void> {
  const fields = Object.fromEntries(requestFields(`127.0.0.1:${port}`))
  const response = await get(port, scenario.target, fields)
  checkHead(scenario, response.status, response.body.length)
  if (!scenario.filter) return
  const { "x-api-key": _, ...others } = fields
  const refused = await get(port, scenario.target, others)
  if (refused.status !== 401) throw new Error(`it answered ${refused.status} to a request without x-api-key`)
}

function checkVersion(socket: TLSSocket): void {
  if (socket.getProtocol() !== "TLSv1.3") throw new Error(`it spoke ${socket.getProtocol()}`)
  const { asn1Curve } = socket.getPeerCertificate() as { asn1Curve?: string }
  if (asn1Curve !== "prime256v1") throw new Error(`its certificate is of ${asn1Curve}`)
}

function checkTls(scenario: Scenario, port: number, ca: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(requestFields(`127.0.0.1:${port}`))
    const sent = request({ host: "127.0.0.1", port, path: scenario.target, headers, ca, agent: false }, (response) => {
      let octets = 0
      response.on("data", (chunk: Buffer) => {
        octets += chunk.length
      })
      response.on("error", reject)
      response.on("end", () => {
        try {
          checkHead(scenario, response.statusCode, octets)
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
    sent.on("socket", (socket) =>
      socket.on("secureConnect", () => {
        try {
          checkVersion(socket as TLSSocket)
        } catch (error) {
          sent.destroy(error as Error)
        }
      }),
    )
    sent.on("error", reject)
    sent.end()
  })
}

async function checkHttp2(scenario: Scenario, port: number, ca: string | undefined): Promise<void> {
  const session = connectHttp2(`${scenario.tls ? "https" : "http"}://127.0.0.1:${port}`, { ca })
  const failed = new Promise<never>((_, reject) => session.on("error", reject))
  try {
    await Promise.race([new Promise((resolve) => session.once("connect", resolve)), failed])
    if (scenario.tls) {
      if (session.alpnProtocol !== "h2") throw new Error(`it chose ${session.alpnProtocol}`)
      checkVersion(session.socket as TLSSocket)
    }
    const call = scenario.unit === "call"
    const stream = session.request({
      ...Object.fromEntries(requestFields("").slice(1)),
      ":method": scenario.method,
      ":path": scenario.target,
      ...(call ? { "content-type": "application/grpc", te: "trailers" } : {}),
    })
    stream.end(call ? callBody() : undefined)
    const { status, body, trailers } = await Promise.race([readAll(stream), failed])
    checkHead(scenario, status, body.length)
    if (call && (trailers["grpc-status"] !== "0" || !body.equals(callBody()))) {
      throw new Error(`it answered a call with ${JSON.stringify(trailers)} and ${body.length} octets`)
    }
  } finally {
    session.destroy()
  }
}

interface Http2Answer {
  readonly status: unknown
  readonly body: Buffer
  readonly trailers: Readonly<Record<string, unknown>>
}

function readAll(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    let status: unknown
    let trailers: Record<string, unknown> = {}
    const chunks: Buffer[] = []
    stream.on("response", (head) => {
      status = head[":status"]
    })
    stream.on("trailers", (fields) => {
      trailers = fields
    })
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("error", reject)
    stream.on("end", () => resolve({ status, body: Buffer.concat(chunks), trailers }))
  })
}

/** More than any buffer on the way holds, so that what was written last has to wait for what was written first. */
const ECHO_SIZE = 4 << 20

function checkEcho(port: number): Promise<void> {
  const sent = randomBytes(ECHO_SIZE)
  const expected = createHash("sha256").update(sent).digest("hex")
  return new Promise((resolve, reject) => {
    const hash = createHash("sha256")
    const socket = connectTcp({ port, host: "127.0.0.1" })
    socket.on("connect", () => {
      socket.write(Uint8Array.of(ECHO))
      socket.end(sent)
    })
    socket.on("data", (chunk: Buffer) => hash.update(chunk))
    socket.on("error", reject)
    socket.on("end", () => {
      if (hash.digest("hex") === expected) resolve()
      else reject(new Error("octets came back changed, or not all of them"))
    })
  })
}
