// A worker's connection to the store of global limits, whatever becomes of it: connects by itself, says whether it is up, and
// tries again with growing pauses. It never waits for anybody: who asks while it is down is told so at once.

import type { Reconnect } from "../resilience/reconnect.ts"
import { type GcraReply, readGcraReply } from "./gcra-script.ts"

/** ms an attempt to connect may take, with all that belongs to it. */
const CONNECT_TIMEOUT = 2000
/** ms after which a store that owes an answer is taken for away. */
const ANSWER_TIMEOUT = 1000
/** Refused commands in a row after which it is: it may be a replica now, out of memory, without the rights it had. */
const REFUSALS = 5
/** Commands under way at a time. */
const MAX_UNDER_WAY = 1024

/** A connection that can be used. */
export interface StoreConnection {
  /** Runs the script. Rejects when the store refuses, or is gone. */
  count(key: string, interval: number, tolerance: number, wanted: number, returned: number): Promise<unknown>
  close(): void
}

/** Connects; `lost` is called once when a connection that could be used has ended. Rejects when there is none to be had. */
export type ConnectStore = (lost: (reason: string) => void) => Promise<StoreConnection>

/** Who asked the store. */
export interface StoreAsker {
  /** Null: it gave no answer. Called once for every `ask` that was taken, later. */
  onStoreReply(reply: GcraReply | null, wanted: number): void
}

/** The store as who decides knows it. */
export interface CountStore {
  readonly up: boolean
  /** Commands under way. */
  readonly underWay: number
  /** Whether an answer has been owed for more than so many ms. */
  isLate(now: number, limit: number): boolean
  /** False when it can't be asked now; the asker hears nothing then. Times in µs. */
  ask(asker: StoreAsker, key: string, interval: number, tolerance: number, wanted: number, returned: number): boolean
  /** To be called now and then: a store that doesn't answer is given up. */
  look(): void
  /** Lets go of it, whatever is under way. */
  close(): void
}

/** A command without an answer. */
interface Owed {
  readonly asker: StoreAsker
  readonly wanted: number
  /** ms. */
  readonly sentAt: number
}

export interface StoreLinkOptions {
  readonly connect: ConnectStore
  readonly reconnect: Reconnect
  readonly random: () => number
  /** ms, monotonic. */
  readonly clock: () => number
  onUp(): void
  onDown(reason: string): void
  /** It was up, and is let go. */
  onClosed(): void
  /** A command was sent; it failed. */
  onTrip(): void
  onError(): void
}

export class StoreLink implements CountStore {
  readonly #options: StoreLinkOptions
  #connection: StoreConnection | null = null
  /** Of the attempt under way or the connection it led to: what a former one tells is not listened to. */
  #attempt = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  /** Said to be down. */
  #down = false
  #refusals = 0
  /** Oldest first: Redis answers in order. */
  #owed: Owed[] = []

  constructor(options: StoreLinkOptions) {
    this.#options = options
    this.#connect()
  }

  get up(): boolean {
    return this.#connection !== null
  }

  get underWay(): number {
    return this.#owed.length
  }

  isLate(now: number, limit: number): boolean {
    return this.#owed.length > 0 && now - this.#owed[0].sentAt > limit
  }

  ask(asker: StoreAsker, key: string, interval: number, tolerance: number, wanted: number, returned: number): boolean {
    const connection = this.#connection
    if (connection === null || this.#owed.length >= MAX_UNDER_WAY) return false
    const attempt = this.#attempt
    this.#options.onTrip()
    this.#owed.push({ asker, wanted, sentAt: this.#options.clock() })
    connection.count(key, interval, tolerance, wanted, returned).then(
      (reply) => this.#answered(attempt, readGcraReply(reply), "its answer is not one of the script"),
      (error: unknown) => this.#answered(attempt, null, reasonOf(error)),
    )
    return true
  }

  #answered(attempt: number, reply: GcraReply | null, reason: string): void {
    // Those of a connection that is lost have been told.
    if (attempt !== this.#attempt) return
    const { asker, wanted } = this.#owed.shift() as Owed
    if (reply !== null) {
      this.#refusals = 0
      this.#options.reconnect.worked()
    } else {
      this.#options.onError()
      if (++this.#refusals >= REFUSALS) this.#lost(attempt, reason)
    }
    asker.onStoreReply(reply, wanted)
  }

  look(): void {
    if (this.isLate(this.#options.clock(), ANSWER_TIMEOUT)) this.#lost(this.#attempt, `no answer for ${ANSWER_TIMEOUT} ms`)
  }

  #connect(): void {
    const attempt = ++this.#attempt
    this.#timer = setTimeout(() => this.#failed(attempt, `no connection within ${CONNECT_TIMEOUT} ms`), CONNECT_TIMEOUT)
    this.#options
      .connect((reason) => this.#lost(attempt, reason))
      .then(
        (connection) => this.#connected(attempt, connection),
        (error: unknown) => this.#failed(attempt, reasonOf(error)),
      )
  }

  #connected(attempt: number, connection: StoreConnection): void {
    if (attempt !== this.#attempt) return connection.close()
    this.#stopTimer()
    this.#connection = connection
    this.#refusals = 0
    this.#down = false
    this.#options.onUp()
  }

  #failed(attempt: number, reason: string): void {
    if (attempt !== this.#attempt || this.#connection !== null) return
    this.#away(reason)
  }

  #lost(attempt: number, reason: string): void {
    const connection = this.#connection
    if (attempt !== this.#attempt || connection === null) return
    this.#connection = null
    this.#away(reason)
    connection.close()
  }

  #away(reason: string): void {
    this.#attempt++
    this.#stopTimer()
    const { reconnect, random, onDown } = this.#options
    this.#timer = setTimeout(() => this.#connect(), reconnect.failed(random()))
    if (!this.#down) onDown(reason)
    this.#down = true
    this.#giveUpOwed()
  }

  #giveUpOwed(): void {
    const owed = this.#owed
    this.#owed = []
    for (const { asker, wanted } of owed) {
      this.#options.onError()
      asker.onStoreReply(null, wanted)
    }
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  close(): void {
    this.#attempt++
    this.#stopTimer()
    const connection = this.#connection
    this.#connection = null
    if (connection !== null) {
      this.#options.onClosed()
      connection.close()
    }
    this.#giveUpOwed()
  }
}

function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: unknown; code?: unknown }
  if (typeof message === "string" && message !== "") return message.slice(0, 200)
  return typeof code === "string" ? code : "unknown error"
}
