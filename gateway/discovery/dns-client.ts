// Asks DNS servers, one after the other, until one knows: over UDP, or TCP where an answer is too long for that. Every question
// has a random id and a socket, and so a port, of its own, and only the server's own answer to it is taken.

import { randomInt } from "node:crypto"
import { createSocket } from "node:dgram"
import { connect, isIP } from "node:net"
import { parseIp } from "../config/ip-address.ts"
import type { Address } from "../config/model.ts"
import { type DnsAnswer, type Question, readAnswer, writeQuestion } from "./dns-message.ts"

/** `unknown`: there is no such name. */
export type DnsReply =
  | { readonly kind: "answer"; readonly answer: DnsAnswer }
  | { readonly kind: "unknown" }
  | { readonly kind: "failed" | "timeout"; readonly reason: string }

/** Times each server is asked. */
const ROUNDS = 3
/** ms a server is waited for before the next one is asked. */
const PATIENCE = 1000
/** Questions on their way at a time; further ones wait for them. */
const MAX_ASKED = 64
/** Datagrams that are no answer before a server is given up: someone is guessing. */
const MAX_STRAYS = 64
/** Octets of an answer over TCP with its length in front (RFC 1035 §4.2.2). */
const MAX_STREAM = 2 + 65_535

export class DnsClient {
  readonly #now: () => number
  #asked = 0
  readonly #waiting: (() => void)[] = []
  /** What ends each question that is on its way. */
  readonly #cancels = new Set<() => void>()
  #closed = false

  /** `now`: ms of a clock that only goes forward. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Never rejects. `until`: on the client's clock. */
  async ask(question: Question, servers: readonly Address[], until: number): Promise<DnsReply> {
    if (this.#asked >= MAX_ASKED) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#asked++
    try {
      return await this.#askEach(question, servers, until)
    } finally {
      this.#asked--
      this.#waiting.shift()?.()
    }
  }

  async #askEach(question: Question, servers: readonly Address[], until: number): Promise<DnsReply> {
    let reply: DnsReply = { kind: "timeout", reason: "there was no time left to ask" }
    for (let i = 0; i < ROUNDS * servers.length && !this.#closed; i++) {
      const left = until - this.#now()
      if (left <= 0) break
      const server = servers[i % servers.length]
      // Who doesn't know EDNS may refuse what carries it: the second time it is left out.
      reply = await this.#askOne(question, server, i < servers.length, Math.min(left, PATIENCE))
      if (reply.kind === "answer" || reply.kind === "unknown") break
    }
    return reply
  }

  async #askOne(question: Question, server: Address, extended: boolean, patience: number): Promise<DnsReply> {
    const id = randomInt(65_536)
    const message = writeQuestion(question, id, extended)
    const read = (bytes: Uint8Array): DnsAnswer | null => readAnswer(bytes, question, id)
    let answer = await this.#overUdp(message, server, patience, read)
    if (typeof answer !== "string" && answer.truncated) answer = await this.#overTcp(message, server, patience, read)
    const { host, port } = server
    const named = port === 53 ? host : `${host} port ${port}`
    if (answer === "timeout") return { kind: "timeout", reason: `DNS server ${named} did not answer in time` }
    if (typeof answer === "string") return { kind: "failed", reason: `DNS server ${named}: ${answer}` }
    if (answer.code === "NOERROR") return { kind: "answer", answer }
    if (answer.code === "NXDOMAIN") return { kind: "unknown" }
    return { kind: "failed", reason: `DNS server ${named} answered ${answer.code}` }
  }

  /** What was answered, or what went wrong. */
  #overUdp(message: Buffer, server: Address, patience: number, read: (bytes: Uint8Array) => DnsAnswer | null): Promise<DnsAnswer | string> {
    return new Promise((resolve) => {
      const socket = createSocket(isIP(server.host) === 6 ? "udp6" : "udp4")
      let strays = 0
      const done = this.#once(patience, resolve, () => socket.close())
      socket.on("error", (error: Error & { code?: string }) => done(error.code ?? error.message))
      socket.on("message", (bytes, from) => {
        const answer = from.port === server.port && sameHost(from.address, server.host) ? read(bytes) : null
        if (answer !== null) done(answer)
        else if (++strays >= MAX_STRAYS) done("too many datagrams that are no answer")
      })
      // A connected socket hears that nobody listens, and gets nothing from other addresses: on most runtimes, but not on all.
      socket.connect(server.port, server.host, ((error?: Error & { code?: string }) => {
        if (error) done(error.code ?? error.message)
        else if (!done.over()) socket.send(message, (failed) => failed && done(failed.message))
      }) as () => void)
    })
  }

  #overTcp(message: Buffer, server: Address, patience: number, read: (bytes: Uint8Array) => DnsAnswer | null): Promise<DnsAnswer | string> {
    return new Promise((resolve) => {
      const socket = connect(server.port, server.host)
      let received = Buffer.alloc(0)
      const done = this.#once(patience, resolve, () => socket.destroy())
      socket.on("error", (error: Error & { code?: string }) => done(error.code ?? error.message))
      socket.on("close", () => done("closed the connection"))
      socket.on("data", (bytes: Buffer) => {
        received = Buffer.concat([received, bytes])
        if (received.length < 2) return
        const end = 2 + received.readUInt16BE(0)
        if (received.length < end && received.length <= MAX_STREAM) return
        const answer = read(received.subarray(2, end))
        done(answer === null || answer.truncated ? "answered with what is no answer" : answer)
      })
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      // Not the end of our side: there are servers that take it for a client that has gone.
      socket.write(Buffer.concat([length, message]))
    })
  }

  /** A function that ends a question with its first call, or with "timeout". */
  #once(patience: number, resolve: (result: DnsAnswer | string) => void, close: () => void): Once {
    let over = false
    const done = (result: DnsAnswer | string): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      this.#cancels.delete(cancel)
      close()
      resolve(result)
    }
    const cancel = (): void => done("given up")
    const timer = setTimeout(() => done("timeout"), patience)
    this.#cancels.add(cancel)
    return Object.assign(done, { over: () => over })
  }

  /** Ends what is on its way. */
  close(): void {
    this.#closed = true
    for (const cancel of [...this.#cancels]) cancel()
    for (const next of this.#waiting.splice(0)) next()
  }
}

interface Once {
  (result: DnsAnswer | string): void
  over(): boolean
}

function sameHost(a: string, b: string): boolean {
  return a === b || parseIp(a)?.words.join() === (parseIp(b)?.words.join() ?? "none")
}
