// A gRPC call of a filter to a service that a test plays: what it sends is one request without frames, POST to the method's path,
// and the answer's body is the message that comes back; its status is `grpc-status` in trailers or headers, 0 unless told.

import { Buffer } from "node:buffer"
import { type ErrorCode, errors } from "../errors.ts"
import type { CalloutHandler, CalloutResponse, ServiceCaller } from "../filter/filter.ts"
import type { GrpcCallout, GrpcHandler, GrpcStream } from "../filter/grpc-callout.ts"
import { decodeGrpcMessage, grpcStatusOfHttp, NO_STATUS, OTHER_STATUS, parseGrpcStatus } from "../http/grpc-status.ts"

const UNKNOWN = 2

export class FakeGrpcCall implements GrpcStream, CalloutHandler {
  readonly #services: Pick<ServiceCaller, "call">
  readonly #callout: GrpcCallout
  readonly #handler: GrpcHandler
  readonly #messages: Buffer[] = []
  #cancel: (() => void) | null = null
  #ended = false

  constructor(services: Pick<ServiceCaller, "call">, callout: GrpcCallout, handler: GrpcHandler) {
    this.#services = services
    this.#callout = callout
    this.#handler = handler
  }

  send(message: Uint8Array, end: boolean): void {
    if (this.#ended) return
    this.#messages.push(Buffer.from(message))
    if (end) this.end()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    const { service, path, metadata, timeout, filter } = this.#callout
    const headers = ["content-type", "application/grpc", ...metadata]
    const body = Buffer.concat(this.#messages)
    const request = { service, method: "POST", path, authority: service, headers, body, trailers: [], timeout, filter }
    this.#cancel = this.#services.call(request, this)
  }

  taken(): void {}

  cancel(): void {
    this.#ended = true
    this.#cancel?.()
  }

  onCalloutResponse({ status, headers, body, trailers }: CalloutResponse): void {
    const find = (name: string): string | undefined => fieldOf(trailers, name) ?? fieldOf(headers, name)
    let code = parseGrpcStatus(find("grpc-status"))
    if (code === NO_STATUS) code = status === 200 ? 0 : grpcStatusOfHttp(status)
    if (code === OTHER_STATUS) code = UNKNOWN
    this.#handler.onGrpcHead(headers)
    if (status === 200 && (code === 0 || body.length > 0)) this.#handler.onGrpcMessage(body)
    this.#handler.onGrpcTrailers(trailers)
    this.#handler.onGrpcEnd(code, decodeGrpcMessage(find("grpc-message") ?? ""))
  }

  onCalloutFailed(code: ErrorCode): void {
    this.#handler.onGrpcEnd(errors[code].grpcStatus, code)
  }
}

function fieldOf(flat: readonly string[], name: string): string | undefined {
  for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1]
  return undefined
}
