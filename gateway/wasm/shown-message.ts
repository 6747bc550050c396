// A message of an exchange, or a direction of a connection, as a guest has it: what it is shown of it now, and what it holds back.

import type { BodyBuffer } from "../filter/body-buffer.ts"
import type { HostMessage } from "./proxy-wasm/host.ts"

export class ShownMessage implements HostMessage {
  body: BodyBuffer | null = null
  ends = false
  trailersWritable = false
  /** The guest holds it back: its head, its body or its trailers. */
  paused = false
  /** The guest has seen all of it. */
  over = false
  /** It lacks octets that the guest has taken out, to put others there: it can't go on as it is. */
  torn = false
  /** The action by which the guest lets it go on. */
  readonly continues: number

  constructor(continues: number) {
    this.continues = continues
  }

  /** It is another exchange's from here on. */
  reopen(): void {
    this.paused = false
    this.over = false
    this.torn = false
  }

  /** What the guest was shown of it goes on: it is no longer the guest's. */
  leave(): void {
    this.body = null
    this.ends = false
    this.torn = false
    this.trailersWritable = false
  }

  /** The guest holds nothing of it back any more. */
  release(): void {
    this.paused = false
    this.leave()
  }
}
