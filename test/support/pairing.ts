// The same exchange over HTTP/1.1 and HTTP/2, for tests of every combination: one way to ask, and services that echo what they see.

import { H2Client } from "./h2-client.ts"
import type { Field } from "./h2-hpack.ts"
import { type H2Arrival, H2Origin, type H2OriginOptions } from "./h2-origin.ts"
import { Origin, type OriginConnection, type OriginRequest } from "./origin.ts"
import { RawClient } from "./raw-client.ts"

export type Version = "1.1" | "2"

export interface Request {
  readonly method?: string
  readonly path: string
  readonly fields?: readonly Field[]
  readonly body?: Uint8Array
  /** With content-length (default), or chunked / without. */
  readonly length?: boolean
  readonly trailers?: readonly Field[]
}

export interface Answer {
  readonly status: number
  readonly fields: readonly Field[]
  readonly body: Buffer
  readonly trailers: readonly Field[]
  /** Statuses of the 1xx heads before it. */
  readonly interim: readonly number[]
}

const lines = (fields: readonly Field[]): string => fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")
const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")

/** A body in chunked coding, of pieces that no buffer's size divides. */
export function chunked(body: Uint8Array, trailers: readonly Field[] = []): Buffer {
  const parts: Uint8Array[] = []
  for (let at = 0; at < body.length; at += 30_011) {
    const piece = body.subarray(at, at + 30_011)
    parts.push(latin1(`${piece.length.toString(16)}\r\n`), piece, latin1("\r\n"))
  }
  return Buffer.concat([...parts, latin1(`0\r\n${lines(trailers)}\r\n`)])
}

/** One exchange on a connection of its own. */
export async function ask(version: Version, port: number, request: Request, limit = 20_000): Promise<Answer> {
  const { path, fields = [], body, length = true, trailers } = request
  const method = request.method ?? (body === undefined ? "GET" : "POST")
  if (version === "2") {
    const client = await H2Client.connect(port)
    try {
      const sized: Field[] = body !== undefined && length ? [["content-length", String(body.length)]] : []
      const id = client.request({ method, path, fields: [...fields, ...sized], body, trailers })
      const response = await client.response(id, limit)
      if (client.problems.length > 0) throw client.problems[0]
      const interim = response.interim.map(([status]) => Number(status[1]))
      return { ...response, interim }
    } finally {
      client.destroy()
    }
  }
  const client = await RawClient.connect(port)
  try {
    const plain = body !== undefined && length && trailers === undefined
    const framing = body === undefined ? "" : plain ? `content-length: ${body.length}\r\n` : "transfer-encoding: chunked\r\n"
    client.send(`${method} ${path} HTTP/1.1\r\nhost: a\r\n${lines(fields)}${framing}\r\n`)
    if (body !== undefined) client.send(plain ? body : chunked(body, trailers))
    const response = await client.readResponse(method, limit)
    return { ...response, interim: response.interim.map(({ startLine }) => Number(startLine.split(" ")[1])) }
  } finally {
    client.destroy()
  }
}

/** A request as a service saw it, whatever it came by. */
export interface Seen {
  readonly method: string
  readonly target: string
  readonly authority: string
  /** Without pseudo-header fields and host. */
  readonly fields: readonly Field[]
  readonly body: Buffer
  readonly trailers: readonly Field[]
  /** Number of the connection it came by. */
  readonly connection: number
}

/**
 * Services of both protocols that send the request's body back. In the query: `length` = with content-length, `trailers` = with
 * trailers, `status=N` = that status and no body, `early` = 103 before it.
 */
export class EchoServices {
  readonly h1: Origin
  readonly h2: H2Origin
  /** Every request so far, by its target. */
  readonly seen: Map<string, Seen[]>

  private constructor(h1: Origin, h2: H2Origin, seen: Map<string, Seen[]>) {
    this.h1 = h1
    this.h2 = h2
    this.seen = seen
  }

  static async start(options: H2OriginOptions = {}): Promise<EchoServices> {
    const seen = new Map<string, Seen[]>()
    const record = (request: Seen): void => {
      seen.set(request.target, [...(seen.get(request.target) ?? []), request])
    }
    const h1 = await Origin.start((request, connection) => {
      record(ofHttp1(request))
      answerHttp1(request, connection)
    })
    const h2 = await H2Origin.start((arrival) => {
      arrival.complete(30_000).then(
        () => {
          record(ofHttp2(arrival))
          answerHttp2(arrival)
        },
        () => {},
      )
    }, options)
    return new EchoServices(h1, h2, seen)
  }

  /** The one request that came for this target. */
  one(target: string): Seen {
    const found = this.seen.get(target) ?? []
    if (found.length !== 1) throw new Error(`${found.length} requests for ${target}`)
    return found[0]
  }

  /** What went wrong at either. */
  get problems(): readonly Error[] {
    return [...this.h1.problems, ...this.h2.problems]
  }

  async stop(): Promise<void> {
    await this.h1.stop()
    await this.h2.stop()
  }
}

function ofHttp1(request: OriginRequest): Seen {
  const { method, target, body, trailers, connection } = request
  const fields = request.fields.filter(([name]) => name !== "host")
  return { method, target, authority: request.header("host") ?? "", fields, body, trailers, connection }
}

function ofHttp2(arrival: H2Arrival): Seen {
  const { method, target, connection, stream } = arrival
  const fields = arrival.fields.filter(([name]) => !name.startsWith(":"))
  return { method, target, authority: arrival.header(":authority") ?? "", fields, body: stream.body, trailers: stream.trailers, connection }
}

const answerTrailers: readonly Field[] = [
  ["x-sum", "42"],
  ["x-after", "all"],
]

function wanted(target: string): URLSearchParams {
  return new URL(target, "http://a").searchParams
}

function answerHttp1({ target, body, method }: OriginRequest, connection: OriginConnection): void {
  const query = wanted(target)
  const status = query.get("status") ?? "200"
  const early = query.has("early") ? "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n" : ""
  if (status !== "200") return connection.write(`${early}HTTP/1.1 ${status} scripted\r\nx-service: h1\r\n\r\n`)
  const trailers = query.has("trailers") ? answerTrailers : []
  const plain = query.has("length") && trailers.length === 0
  const framing = plain ? `content-length: ${method === "HEAD" ? 1234 : body.length}` : "transfer-encoding: chunked"
  const head = latin1(`${early}HTTP/1.1 200 OK\r\nx-service: h1\r\n${framing}\r\n\r\n`)
  if (method === "HEAD") connection.write(head)
  else connection.write(Buffer.concat([head, plain ? body : chunked(body, trailers)]))
}

function answerHttp2(arrival: H2Arrival): void {
  const { method, stream, peer, id } = arrival
  const query = wanted(arrival.target)
  if (query.has("early")) arrival.head(103, [["link", "</a.css>"]])
  const status = Number(query.get("status") ?? 200)
  if (status !== 200) return arrival.head(status, [["x-service", "h2"]], true)
  const { body } = stream
  const sized: Field[] = query.has("length") ? [["content-length", String(method === "HEAD" ? 1234 : body.length)]] : []
  const trailers = query.has("trailers")
  const fields: Field[] = [["x-service", "h2"], ...sized]
  const empty = method === "HEAD" || body.length === 0
  arrival.head(200, fields, empty && !trailers)
  if (empty) {
    if (trailers) arrival.trailers(answerTrailers)
    return
  }
  peer.sendBody(id, body, { end: !trailers }).then(
    () => {
      if (trailers) arrival.trailers(answerTrailers)
    },
    () => {},
  )
}
