// gRPC over HTTP/1.1 as tests write it: calls, answers with trailers, and gRPC-Web's bodies taken apart. Independent of the
// gateway's own code.

import { Buffer } from "node:buffer"
import type { OriginConnection } from "./origin.ts"
import type { Response } from "./raw-client.ts"

/** A message with its frame. */
export function frame(message: string, flags = 0): Buffer {
  const bytes = Buffer.from(message, "latin1")
  const head = Buffer.alloc(5)
  head[0] = flags
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

export interface CallParts {
  readonly fields?: Readonly<Record<string, string>>
  /** Messages; default one, "ask". */
  readonly messages?: readonly string[]
  /** The body goes on. */
  readonly open?: boolean
}

/** A call's octets: its messages in chunked coding. */
export function call(path: string, { fields = {}, messages = ["ask"], open = false }: CallParts = {}): Buffer {
  const all = { host: "a", "content-type": "application/grpc", connection: "te", te: "trailers", ...fields }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const parts: (string | Buffer)[] = [`POST ${path} HTTP/1.1\r\n${lines.join("")}transfer-encoding: chunked\r\n\r\n`]
  for (const message of messages) parts.push(chunk(frame(message)))
  if (!open) parts.push("0\r\n\r\n")
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)))
}

export function chunk(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
}

/** The start of an answer: its head, and messages. */
export function beginAnswer(connection: OriginConnection, messages: readonly string[] = []): void {
  connection.write("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n")
  for (const message of messages) connection.write(chunk(frame(message)))
}

export function endAnswer(connection: OriginConnection, status: number | null = 0, message = ""): void {
  const trailers = status === null ? "" : `grpc-status: ${status}\r\n${message === "" ? "" : `grpc-message: ${message}\r\n`}`
  connection.write(`0\r\n${trailers}\r\n`)
}

export function answer(connection: OriginConnection, messages: readonly string[], status: number | null = 0): void {
  beginAnswer(connection, messages)
  endAnswer(connection, status)
}

/** An answer of trailers alone. */
export function refuse(connection: OriginConnection, status: number, message = "no"): void {
  connection.reply(200, "", { "content-type": "application/grpc", "grpc-status": String(status), "grpc-message": message })
}

/** How a call ended: the status in its trailers, or in its head when there is no body. */
export function statusOf(response: Response): string | null {
  for (const [name, value] of response.trailers) if (name === "grpc-status") return value
  return response.header("grpc-status")
}

/** The messages of a body. */
export function messagesOf(body: Buffer): string[] {
  return framesOf(body).map(({ flags, text }) => {
    if (flags !== 0) throw new Error(`a frame with flags ${flags}`)
    return text
  })
}

export function framesOf(body: Buffer): { flags: number; text: string }[] {
  const frames: { flags: number; text: string }[] = []
  let at = 0
  while (at < body.length) {
    const length = body.readUInt32BE(at + 1)
    if (at + 5 + length > body.length) throw new Error("a frame cut short")
    frames.push({ flags: body[at], text: body.toString("latin1", at + 5, at + 5 + length) })
    at += 5 + length
  }
  return frames
}

/** The octets of base64 in segments. */
export function fromBase64(text: string): Buffer {
  const segments = text.match(/[A-Za-z0-9+/]+={0,2}/g) ?? []
  if (segments.join("") !== text) throw new Error(`not base64: ${text}`)
  return Buffer.concat(segments.map((segment) => Buffer.from(segment, "base64")))
}
