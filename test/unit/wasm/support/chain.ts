// An exchange whose filters are run by the real chain; what comes out at its ends is written down.

import { Buffer } from "node:buffer"
import type { ErrorCode } from "../../../../gateway/errors.ts"
import { type ChainOwner, ChainRun } from "../../../../gateway/filter/chain.ts"
import type { HttpFilter, LocalReply } from "../../../../gateway/filter/filter.ts"
import { Fields } from "../../../../gateway/http/fields.ts"
import { ResponseHead } from "../../../../gateway/http/message.ts"
import { FakeStream } from "./host.ts"

export class ChainExchange implements ChainOwner {
  readonly run: ChainRun
  readonly events: string[] = []
  /** Octets that have passed every filter. */
  request = ""
  response = ""
  requestSent = false
  responseSent = false
  #requestEnds = false
  #responseEnds = false
  #responded = false

  constructor(...filters: HttpFilter[]) {
    const { info, request } = new FakeStream()
    this.run = new ChainRun(filters, info, request, this)
  }

  begin(end = false): this {
    this.#requestEnds = end
    this.run.runRequest(end)
    return this
  }

  body(...chunks: string[]): this {
    for (const chunk of chunks) {
      // The codec's buffer is used again as soon as the call returns.
      const bytes = Buffer.from(chunk, "latin1")
      this.run.feedRequest(bytes, 0, bytes.length)
      this.run.flushRequest()
      bytes.fill("#")
    }
    return this
  }

  end(trailers: Record<string, string> | null = null): this {
    this.run.endRequest(trailers === null ? null : Fields.from(Object.entries(trailers)))
    return this
  }

  respond(end = false): this {
    this.#responseEnds = end
    this.#responded = true
    const head = new ResponseHead()
    head.status = 200
    head.fields.add("server", "upstream")
    this.run.runResponse(head, end)
    return this
  }

  responseBody(...chunks: string[]): this {
    for (const chunk of chunks) {
      const bytes = Buffer.from(chunk, "latin1")
      this.run.feedResponse(bytes, 0, bytes.length)
      this.run.flushResponse()
      bytes.fill("#")
    }
    return this
  }

  endResponse(trailers: Record<string, string> | null = null): this {
    this.run.endResponse(trailers === null ? null : Fields.from(Object.entries(trailers)))
    return this
  }

  done(): this {
    this.run.done()
    return this
  }

  /** What has happened since this was asked last. */
  take(): string[] {
    return this.events.splice(0)
  }

  onRequestFiltered(): void {
    this.events.push("request")
    if (this.#requestEnds || !this.run.openRequestBody()) this.requestSent = true
  }

  onResponseFiltered(): void {
    this.events.push(`response ${this.run.response?.status}`)
    if (this.#responseEnds || !this.run.openResponseBody()) this.responseSent = true
  }

  onRequestBody(bytes: Buffer): void {
    this.request += bytes.toString("latin1")
    this.events.push(`request body ${bytes.toString("latin1")}`)
  }

  onRequestBodyEnd(trailers: Fields | null): void {
    this.events.push(`request end${trailers === null ? "" : ` ${trailers.entries().join(" ")}`}`)
    this.requestSent = true
  }

  onResponseBody(bytes: Buffer): void {
    this.response += bytes.toString("latin1")
    this.events.push(`response body ${bytes.toString("latin1")}`)
  }

  onResponseBodyEnd(trailers: Fields | null): void {
    this.events.push(`response end${trailers === null ? "" : ` ${trailers.entries().join(" ")}`}`)
    this.responseSent = true
  }

  onRequestHold(hold: boolean): void {
    this.events.push(hold ? "hold request" : "release request")
  }

  onResponseHold(hold: boolean): void {
    this.events.push(hold ? "hold response" : "release response")
  }

  onBodiesMoved(): void {
    this.requestSent ||= this.request !== ""
    this.responseSent ||= this.response !== ""
  }

  onFilterReply(reply: LocalReply): void {
    this.#local(`reply ${reply.status}`, reply.status)
  }

  onFilterFailed(code: ErrorCode, details: string): void {
    this.#local(`fail ${code} ${details}`, 500)
  }

  onFilterReset(): void {
    this.events.push("reset")
    this.run.stopRequest()
    this.run.stopResponse()
  }

  // Filters see one response of an exchange; a reply in its place goes straight out.
  #local(event: string, status: number): void {
    this.events.push(event)
    this.run.stopRequest()
    this.run.stopResponse()
    if (this.#responded) return
    this.#responded = true
    this.#responseEnds = true
    const head = new ResponseHead()
    head.status = status
    this.run.runResponse(head, true)
  }

  chooseService(): boolean {
    return false
  }

  clearRoute(): void {
    this.events.push("clear route")
  }
}
