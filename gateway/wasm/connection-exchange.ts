// A connection in the shape host calls take streams in: an exchange that has no messages, and never will.

import type { FilterStream, StreamInfo } from "../filter/filter.ts"
import type { ConnectionStream } from "../filter/network-filter.ts"
import { RequestHead } from "../http/message.ts"

const NO_REQUEST = new RequestHead()

export class ConnectionExchange implements FilterStream {
  readonly request = NO_REQUEST
  readonly response = null
  readonly requestSent = true
  readonly responseSent = true
  readonly requestTrailers = null
  readonly responseTrailers = null
  readonly #connection: ConnectionStream

  constructor(connection: ConnectionStream) {
    this.#connection = connection
  }

  get info(): StreamInfo {
    return this.#connection.info
  }

  addRequestTrailers(): null {
    return null
  }

  addResponseTrailers(): null {
    return null
  }

  sendLocalReply(): void {}

  fail(...failure: Parameters<FilterStream["fail"]>): void {
    this.#connection.fail(...failure)
  }

  continueRequest(): void {}

  continueResponse(): void {}

  passResponse(): void {}

  note(): void {}

  reset(): void {
    this.#connection.close()
  }

  chooseService(name: string): boolean {
    return this.#connection.chooseService(name)
  }

  clearRoute(): void {}

  property(path: string): Uint8Array | undefined {
    return this.#connection.property(path)
  }

  setProperty(path: string, value: Uint8Array): boolean {
    return this.#connection.setProperty(path, value)
  }
}
