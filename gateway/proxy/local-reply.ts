// Answers made by the gateway itself, in the form of any other response.

import { type ErrorCode, errors } from "../errors.ts"
import type { LocalReply } from "../filter/filter.ts"
import { isGrpcType } from "../http/grpc.ts"
import { encodeGrpcMessage, grpcStatusOfHttp } from "../http/grpc-status.ts"
import { type RequestHead, ResponseHead } from "../http/message.ts"
import { reasonPhrase } from "../http/status.ts"

/** A local answer: its head and its whole body. */
export interface Reply {
  readonly head: ResponseHead
  readonly body: Buffer
}

const EMPTY = Buffer.alloc(0)
/** Errors that are over when there is less to do, and after how many seconds a client may see whether it is so. */
const BUSY: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["overflow", "queueTimeout", "overloaded"])
const RETRY_AFTER = "1"
const NO_HEADERS: readonly string[] = []
/** Octets of a reply's body that become a gRPC message. */
const MAX_MESSAGE = 1024

/** Only a POST is a call, as for its exchange. */
function isGrpc(request: RequestHead): boolean {
  return request.method === "POST" && isGrpcType(request.fields.get("content-type"))
}

function newHead(status: number): ResponseHead {
  const head = new ResponseHead()
  head.status = status
  head.reason = reasonPhrase(status)
  return head
}

/** Makes a worker's local replies. Keeps the `date` of the current second (RFC 9110 §6.6.1), since formatting one costs more than the rest. */
export class LocalReplies {
  #second = 0
  #date = ""

  #finish(head: ResponseHead, body: Buffer): Reply {
    if (head.status !== 204 && head.status !== 304 && head.status >= 200) {
      head.fields.set("content-length", String(body.length))
      if (body.length > 0) {
        head.body = "length"
        head.contentLength = body.length
      }
    }
    if (!head.fields.has("date")) {
      const second = Math.floor(Date.now() / 1000)
      if (second !== this.#second) {
        this.#second = second
        this.#date = new Date(second * 1000).toUTCString()
      }
      head.fields.add("date", this.#date)
    }
    return { head, body: head.body === "none" ? EMPTY : body }
  }

  /** The reply of a row of errors.ts: short text, or a problem document (RFC 9457) for clients that ask for one. */
  error(code: ErrorCode, request: RequestHead): Reply {
    return this.#error(code, request, errors[code].status, errors[code].grpcStatus, NO_HEADERS)
  }

  #error(code: ErrorCode, request: RequestHead, status: number, grpcStatus: number, headers: readonly string[]): Reply {
    const row = errors[code]
    if (isGrpc(request)) return this.#grpc(grpcStatus, row.text, headers)
    const head = newHead(status)
    if (BUSY.has(code)) head.fields.add("retry-after", RETRY_AFTER)
    for (let i = 0; i < headers.length; i += 2) head.fields.add(headers[i], headers[i + 1])
    const accept = request.fields.get("accept")
    if (accept?.includes("application/problem+json")) {
      head.fields.add("content-type", "application/problem+json")
      const problem = { type: "about:blank", title: head.reason, status, detail: row.text, code }
      return this.#finish(head, Buffer.from(`${JSON.stringify(problem)}\n`))
    }
    head.fields.add("content-type", "text/plain")
    return this.#finish(head, Buffer.from(`${row.text}\n`))
  }

  /** What a filter answers. A gRPC client gets it as a status of its own protocol. */
  filter(reply: LocalReply, request: RequestHead): Reply {
    if (reply.code !== undefined) return this.#error(reply.code, request, reply.status, reply.grpcStatus, reply.headers)
    if (isGrpc(request)) {
      const text = Buffer.from(reply.body.buffer, reply.body.byteOffset, Math.min(reply.body.byteLength, MAX_MESSAGE)).toString("utf8")
      return this.#grpc(reply.grpcStatus >= 0 ? reply.grpcStatus : grpcStatusOfHttp(reply.status), text, reply.headers)
    }
    const head = newHead(reply.status)
    for (let i = 0; i < reply.headers.length; i += 2) head.fields.add(reply.headers[i], reply.headers[i + 1])
    const body = Buffer.from(reply.body.buffer, reply.body.byteOffset, reply.body.byteLength)
    if (body.length > 0 && !head.fields.has("content-type")) head.fields.add("content-type", "text/plain")
    return this.#finish(head, body)
  }

  // A response of trailers alone (gRPC over HTTP/2, "Trailers-Only"): HTTP 200, the status in the head, no body.
  #grpc(status: number, message: string, headers: readonly string[]): Reply {
    const head = newHead(200)
    head.fields.add("content-type", "application/grpc")
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i] !== "content-type" && !headers[i].startsWith("grpc-")) head.fields.add(headers[i], headers[i + 1])
    }
    head.fields.add("grpc-status", String(status))
    if (message !== "") head.fields.add("grpc-message", encodeGrpcMessage(message.trim()))
    return this.#finish(head, EMPTY)
  }

  redirect(status: number, location: string): Reply {
    const head = newHead(status)
    head.fields.add("location", location)
    return this.#finish(head, EMPTY)
  }

  /** A route's direct response. `headers`: name, value, name, value … */
  direct(status: number, body: Buffer, headers: readonly string[]): Reply {
    const head = newHead(status)
    for (let i = 0; i < headers.length; i += 2) head.fields.add(headers[i], headers[i + 1])
    if (body.length > 0 && !head.fields.has("content-type")) head.fields.add("content-type", "text/plain; charset=utf-8")
    return this.#finish(head, body)
  }
}
