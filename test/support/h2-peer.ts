// One end of an HTTP/2 connection for tests, client or server: keeps every frame that comes, decodes header blocks, tracks windows,
// and answers SETTINGS, PING and DATA as a well-behaved peer does, unless told not to. What it sends is what the test hands it.

import type { Duplex } from "node:stream"
import { defaultLimit } from "./deadline.ts"
import {
  ACK,
  content,
  data,
  describeFrame,
  END_HEADERS,
  END_STREAM,
  errorName,
  type Frame,
  FrameReader,
  frameTypes,
  ping,
  preface,
  settingIds,
  settings,
  settingsAck,
  windowUpdate,
} from "./h2-frames.ts"
import { type Field, HpackDecoder } from "./h2-hpack.ts"

export interface PeerOptions {
  /** Parameters of the SETTINGS sent at the start; null: none is sent. */
  readonly settings?: readonly (readonly [number, number])[] | null
  /** Answers SETTINGS (default true). */
  readonly ackSettings?: boolean
  /** Answers PING (default true). */
  readonly ackPings?: boolean
  /** Gives the peer's windows back what its DATA took (default true). */
  readonly updateWindows?: boolean
  /** A client that doesn't send the preface by itself. */
  readonly preface?: boolean
}

interface OpenBlock {
  readonly stream: number
  readonly parts: Buffer[]
  readonly end: boolean
}

/** What has come on one stream. */
export class PeerStream {
  readonly id: number
  /** Header blocks in order: of a response, 1xx heads, the head, trailers. */
  readonly blocks: Field[][] = []
  readonly chunks: Buffer[] = []
  /** Octets of DATA without padding. */
  length = 0
  /** END_STREAM has come. */
  ended = false
  /** Name of the code of RST_STREAM, once it has come. */
  reset: string | null = null
  /** What may still be sent on it. */
  sendWindow: number
  #taken = 0

  constructor(id: number, sendWindow: number) {
    this.id = id
    this.sendWindow = sendWindow
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }

  /** Octets that no `take` has taken. */
  get unread(): number {
    return this.length - this.#taken
  }

  take(octets: number): Buffer {
    const bytes = this.body.subarray(this.#taken, this.#taken + octets)
    this.#taken += octets
    return bytes
  }

  /** The first block that is not a 1xx head; null before it came. */
  get head(): readonly Field[] | null {
    return this.blocks.find((block) => !/^1\d\d$/.test(value(block, ":status") ?? "")) ?? null
  }

  get trailers(): readonly Field[] {
    const head = this.head
    return head === null ? [] : (this.blocks[this.blocks.indexOf(head as Field[]) + 1] ?? [])
  }
}

export class Peer {
  readonly socket: Duplex
  readonly streams = new Map<number, PeerStream>()
  /** Every frame that has come, oldest first. */
  readonly frames: Frame[] = []
  /** The peer's parameters, as far as it has sent any. */
  readonly settings = new Map<number, number>()
  /** Code and last stream of the last GOAWAY. */
  goaway: { code: string; lastStream: number; debug: string } | null = null
  /** How the other side ended the connection; null while it is open. */
  ending: "end" | "reset" | null = null
  /** What the peer sent that breaks the protocol. */
  readonly problems: Error[] = []
  /** Asked when a stream's first header block is there. */
  onHead: ((stream: PeerStream) => void) | null = null
  /** Asked with every frame, before it is looked at. */
  onFrame: ((frame: Frame) => void) | null = null
  /** Octets received. */
  received = 0
  readonly hpack = new HpackDecoder()
  readonly #options: PeerOptions
  readonly #reader: FrameReader
  #block: OpenBlock | null = null
  #sendWindow = 65_535
  #wake: (() => void)[] = []
  #pings = 0
  /** Collects answers while a frame is half sent. */
  #heldAnswers: Uint8Array[] | null = null

  constructor(socket: Duplex, role: "client" | "server", options: PeerOptions = {}) {
    this.socket = socket
    this.#options = options
    this.#reader = new FrameReader(role === "server")
    socket.on("data", (bytes: Buffer) => this.#read(bytes))
    socket.on("end", () => this.#finish("end"))
    socket.on("error", () => this.#finish("reset"))
    socket.on("close", () => this.#finish("end"))
    const first: Uint8Array[] = role === "client" && options.preface !== false ? [preface] : []
    if (options.settings !== null) first.push(settings(...(options.settings ?? [])))
    const tableSize = options.settings?.find(([id]) => id === settingIds.HEADER_TABLE_SIZE)?.[1]
    if (tableSize !== undefined) this.hpack.setLimit(tableSize)
    if (first.length > 0) this.send(...first)
  }

  /** Sends octets as they are, in one write; false when the socket's buffer is full. */
  send(...parts: readonly Uint8Array[]): boolean {
    if (this.socket.destroyed || !this.socket.writable) return false
    return this.socket.write(Buffer.concat(parts))
  }

  /** Sends octets cut in two at `at`, the halves `gap` ms apart; what this side answers by itself meanwhile follows them. */
  async sendCut(octets: Buffer, at: number, gap: number = 2): Promise<void> {
    const answers: Uint8Array[] = []
    this.#heldAnswers = answers
    this.send(octets.subarray(0, at))
    await new Promise((resolve) => setTimeout(resolve, gap))
    this.#heldAnswers = null
    this.send(octets.subarray(at), ...answers)
  }

  stream(id: number): PeerStream {
    let stream = this.streams.get(id)
    if (stream === undefined) {
      stream = new PeerStream(id, this.settings.get(settingIds.INITIAL_WINDOW_SIZE) ?? 65_535)
      this.streams.set(id, stream)
    }
    return stream
  }

  /** What may still be sent on the connection. */
  get sendWindow(): number {
    return this.#sendWindow
  }

  /** Counts octets of DATA that the test sends by itself against the windows. */
  take(octets: number, id: number): void {
    this.stream(id).sendWindow -= octets
    this.#sendWindow -= octets
  }

  /** Sends a body as fast as the windows allow, in frames of `size`; rejects when the stream or the connection ends before. */
  async sendBody(id: number, body: Uint8Array, options: { end?: boolean; size?: number; limit?: number } = {}): Promise<void> {
    const { end = true, size = 16_384, limit = 30_000 } = options
    const stream = this.stream(id)
    let at = 0
    if (body.length === 0 && end) this.send(data(id, "", { end: true }))
    while (at < body.length) {
      await this.until(
        () => stream.reset !== null || (stream.sendWindow > 0 && this.#sendWindow > 0),
        `room in the windows of stream ${id} (${stream.sendWindow}, ${this.#sendWindow}) after ${at} of ${body.length} octets`,
        limit,
      )
      if (stream.reset !== null) throw new Error(`stream ${id} was reset (${stream.reset}) after ${at} of ${body.length} octets`)
      const length = Math.min(body.length - at, size, stream.sendWindow, this.#sendWindow)
      stream.sendWindow -= length
      this.#sendWindow -= length
      const part = body.subarray(at, at + length)
      at += length
      const free = this.send(data(id, part, { end: end && at === body.length }))
      if (!free && !this.socket.destroyed) await new Promise<void>((resolve) => this.#onceFree(resolve))
    }
  }

  /** Resolves when everything sent before has been read by the peer, which says so by answering a PING. */
  async barrier(limit: number = defaultLimit): Promise<void> {
    const payload = Buffer.from(`barr${String(++this.#pings).padStart(4, "0")}`)
    this.send(ping(payload))
    const answered = ({ type, flags, payload: got }: Frame): boolean =>
      type === frameTypes.PING && (flags & ACK) !== 0 && got.equals(payload)
    await this.until(() => this.frames.some(answered), "the answer to a PING", limit)
  }

  /** Waits until `done`; rejects when the connection ends before, or after `limit` ms. */
  async until(done: () => boolean, what: string, limit: number = defaultLimit): Promise<void> {
    const end = performance.now() + limit
    while (!done()) {
      if (this.ending !== null) throw new Error(`the connection closed (${this.ending}) before ${what}; got ${this.describe()}`)
      const left = end - performance.now()
      if (left <= 0) throw new Error(`no ${what} within ${limit} ms; got ${this.describe()}`)
      let timer: ReturnType<typeof setTimeout> | undefined
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve)
        timer = setTimeout(resolve, left)
      })
      clearTimeout(timer)
    }
  }

  /** Waits for the end of the connection. */
  async closed(limit: number = defaultLimit): Promise<"end" | "reset"> {
    await this.until(() => this.ending !== null, "end of the connection", limit)
    return this.ending as "end" | "reset"
  }

  /** The last frames that came, in words. */
  describe(): string {
    return JSON.stringify(this.frames.slice(-12).map(describeFrame))
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  destroy(): void {
    this.socket.destroy()
  }

  #answer(...frames: readonly Uint8Array[]): void {
    if (this.#heldAnswers === null) this.send(...frames)
    else this.#heldAnswers.push(...frames)
  }

  #onceFree(resolve: () => void): void {
    const finish = (): void => {
      this.socket.removeListener("drain", finish)
      this.socket.removeListener("close", finish)
      resolve()
    }
    this.socket.on("drain", finish)
    this.socket.on("close", finish)
  }

  #read(bytes: Buffer): void {
    this.received += bytes.length
    try {
      for (const frame of this.#reader.feed(bytes)) {
        this.onFrame?.(frame)
        this.frames.push(frame)
        this.#take(frame)
      }
    } catch (error) {
      this.problems.push(error as Error)
      this.socket.destroy()
    }
    this.#notify()
  }

  #take(frame: Frame): void {
    const { type, flags, stream: id, payload } = frame
    if (this.#block !== null && (type !== frameTypes.CONTINUATION || id !== this.#block.stream))
      throw new Error(`${describeFrame(frame)} inside a header block`)
    switch (type) {
      case frameTypes.DATA: {
        const stream = this.stream(id)
        const bytes = content(frame)
        if (stream.ended) throw new Error(`DATA after the end of stream ${id}`)
        if (stream.blocks.length === 0) throw new Error(`DATA before the head of stream ${id}`)
        stream.chunks.push(bytes)
        stream.length += bytes.length
        stream.ended = (flags & END_STREAM) !== 0
        if (this.#options.updateWindows !== false && payload.length > 0) {
          if (stream.ended) this.#answer(windowUpdate(0, payload.length))
          else this.#answer(windowUpdate(0, payload.length), windowUpdate(id, payload.length))
        }
        return
      }
      case frameTypes.HEADERS:
        this.#block = { stream: id, parts: [content(frame)], end: (flags & END_STREAM) !== 0 }
        if ((flags & END_HEADERS) !== 0) this.#endBlock()
        return
      case frameTypes.CONTINUATION:
        if (this.#block === null) throw new Error("CONTINUATION behind no header block")
        this.#block.parts.push(payload)
        if ((flags & END_HEADERS) !== 0) this.#endBlock()
        return
      case frameTypes.RST_STREAM:
        this.stream(id).reset = errorName(payload.readUInt32BE(0))
        return
      case frameTypes.SETTINGS:
        this.#takeSettings(frame)
        return
      case frameTypes.PING:
        if ((flags & ACK) === 0 && this.#options.ackPings !== false) this.#answer(ping(payload, true))
        return
      case frameTypes.GOAWAY:
        this.goaway = {
          code: errorName(payload.readUInt32BE(4)),
          lastStream: payload.readUInt32BE(0) & 0x7fffffff,
          debug: payload.toString("latin1", 8),
        }
        return
      case frameTypes.WINDOW_UPDATE: {
        const increment = payload.readUInt32BE(0) & 0x7fffffff
        if (increment === 0) throw new Error("WINDOW_UPDATE of 0")
        if (id === 0) this.#sendWindow += increment
        else this.stream(id).sendWindow += increment
        return
      }
    }
  }

  #endBlock(): void {
    const { stream: id, parts, end } = this.#block as OpenBlock
    this.#block = null
    const fields = this.hpack.decode(Buffer.concat(parts))
    const stream = this.stream(id)
    if (stream.ended) throw new Error(`HEADERS after the end of stream ${id}`)
    stream.blocks.push(fields)
    stream.ended = end
    if (stream.blocks.length === 1) this.onHead?.(stream)
  }

  #takeSettings({ flags, payload }: Frame): void {
    if ((flags & ACK) !== 0) return
    for (let at = 0; at < payload.length; at += 6) {
      const id = payload.readUInt16BE(at)
      const parameter = payload.readUInt32BE(at + 2)
      if (id === settingIds.INITIAL_WINDOW_SIZE) {
        const change = parameter - (this.settings.get(id) ?? 65_535)
        for (const stream of this.streams.values()) stream.sendWindow += change
      }
      this.settings.set(id, parameter)
    }
    if (this.#options.ackSettings !== false) this.#answer(settingsAck)
  }

  #finish(ending: "end" | "reset"): void {
    this.ending ??= ending
    this.#notify()
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }
}

/** The first value of a field, or null. */
export function value(fields: readonly Field[], name: string): string | null {
  return fields.find(([key]) => key === name)?.[1] ?? null
}

/** Every value of a field, in order. */
export function values(fields: readonly Field[], name: string): string[] {
  return fields.filter(([key]) => key === name).map(([, text]) => text)
}
