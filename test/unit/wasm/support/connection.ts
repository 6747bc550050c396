// A TCP connection in a test: what its filters let pass is written down, as is what they ask for.

import { Buffer } from "node:buffer"
import type { ErrorCode } from "../../../../gateway/errors.ts"
import { NetworkChain, type NetworkChainOwner } from "../../../../gateway/filter/network-chain.ts"
import { CLOSED_BY_PEER, CLOSED_HERE, type NetworkFilter } from "../../../../gateway/filter/network-filter.ts"
import { FakeStream } from "./host.ts"

export class TestConnection implements NetworkChainOwner {
  readonly info = { ...new FakeStream().info, protocol: "TCP", routeName: "", requestId: "" }
  readonly chain: NetworkChain
  /** What happened, in order. `>` = towards the service. */
  readonly events: string[] = []
  services: readonly string[] = ["api"]

  constructor(filters: readonly NetworkFilter[]) {
    this.chain = new NetworkChain(filters, this.info, this)
  }

  /** Takes the events so far. */
  take(): string[] {
    return this.events.splice(0)
  }

  start(): this {
    this.chain.run()
    return this
  }

  /** Octets from the client, or from the service; as a socket's, they are gone afterwards. */
  client(text: string): void {
    this.#feed(false, text)
  }

  service(text: string): void {
    this.#feed(true, text)
  }

  #feed(response: boolean, text: string): void {
    const bytes = Buffer.from(text, "latin1")
    if (this.chain.wants(response)) this.chain.feed(response, bytes, 0, bytes.length)
    else this.onFilteredBytes(response, bytes)
    bytes.fill(0)
  }

  clientEnd(): void {
    if (this.chain.wants(false)) this.chain.end(false)
    else this.onFilteredEnd(false)
  }

  serviceEnd(): void {
    if (this.chain.wants(true)) this.chain.end(true)
    else this.onFilteredEnd(true)
  }

  /** Both sides have ended, the client first. */
  finish(): void {
    this.chain.closed(false, CLOSED_BY_PEER)
    this.chain.closed(true, CLOSED_HERE)
    this.chain.done()
  }

  onAccepted(): void {
    this.events.push("accepted")
  }

  onFilteredBytes(response: boolean, bytes: Buffer): void {
    this.events.push(`${response ? "<" : ">"}${bytes.toString("latin1")}`)
  }

  onFilteredEnd(response: boolean): void {
    this.events.push(response ? "<end" : ">end")
  }

  onFilterHold(response: boolean, hold: boolean): void {
    this.events.push(`${response ? "<" : ">"}${hold ? "hold" : "go on"}`)
  }

  onFilterClose(): void {
    this.events.push("close")
  }

  onFilterFailed(code: ErrorCode, details: string): void {
    this.events.push(`fail ${code} ${details}`)
  }

  chooseService(name: string): boolean {
    this.events.push(`service ${name}`)
    return this.services.includes(name)
  }
}
