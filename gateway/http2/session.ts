// One HTTP/2 connection, whichever side of it we are: frames in and out, settings, both levels of flow control, pings
// (RFC 9113 §§4–6). What breaks the protocol ends it with GOAWAY, what is merely useless is counted. Which messages its
// streams carry is the matter of its two subclasses.

import type { Socket } from "node:net"
import type { Fields } from "../http/fields.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { Connection } from "./connection.ts"
import { classify } from "./field-kinds.ts"
import { FrameReader, type FrameSink } from "./frame-reader.ts"
import * as h2 from "./frames.ts"
import { HeadWriter } from "./head-writer.ts"
import { HeaderBlock } from "./header-block.ts"
import { HpackDecoder } from "./hpack-decoder.ts"
import { COST_FRAME, COST_LATE, COST_RESET, EARN_DATA, Patience } from "./patience.ts"
import type { Stream } from "./stream.ts"
import { WaitingStreams } from "./waiting-streams.ts"
import { workerHold } from "./worker-hold.ts"

/** Octets the peer may send on the whole connection before it hears that some were taken. */
const CONNECTION_WINDOW = 1024 * 1024
/** Octets that streams nobody reads hold in a connection which takes no more of them. */
const CROWDED = 4 * 1024 * 1024
/** Octets by which the windows of a connection's streams may be widened together. */
const SPARE_WINDOW = 4 * 1024 * 1024
/** Streams that we have reset lately: what the peer sent on them before it knew is no fault. */
const RESETS_KEPT = 128
/** What one side allows the other. */
export interface SessionSettings {
  /** Octets of one decoded header section, counted as SETTINGS_MAX_HEADER_LIST_SIZE does. */
  readonly headerList: number
  /** Settings as they are sent: identifier, value, identifier, value … */
  readonly settings: readonly number[]
}

export abstract class Session extends Connection implements FrameSink {
  /** @internal Octets the peer takes on the whole connection. */
  sendWindow = h2.DEFAULT_WINDOW
  /** @internal Octets it takes on a new stream. */
  peerWindow = h2.DEFAULT_WINDOW
  /** @internal Octets we take on a new stream. */
  readonly streamWindow = h2.DEFAULT_WINDOW
  protected readonly streams = new Map<number, Stream>()
  protected readonly heads: HeadWriter
  /** @internal */ readonly patience: Patience
  /** ms of the wheel's clock when something was read last. */
  protected lastRead: number
  readonly #reader: FrameReader
  protected readonly decoder: HpackDecoder
  readonly #block: HeaderBlock
  readonly #resets = new Set<number>()
  #settingsSeen = false
  /** The peer's first settings are in force. */
  #settled = false
  readonly #waiting = new WaitingStreams(this)
  /** A window was opened in this turn of reading. */
  #opened = false
  #touched: Stream[] = []
  /** Of the DATA frame being read: its stream (null: nobody takes it), what of its octets was not data, END_STREAM. */
  #dataStream: Stream | null = null
  #dataLeft = 0
  #dataEnds = false
  #receiveWindow = CONNECTION_WINDOW
  #received = 0
  #held = 0
  #spare = SPARE_WINDOW

  /** `first`: octets sent before our settings. */
  constructor(socket: Socket, wheel: TimerWheel, settings: SessionSettings, first: Buffer | null) {
    super(socket, wheel)
    this.heads = new HeadWriter(this.output)
    this.patience = new Patience(wheel.now)
    this.lastRead = wheel.now
    this.#reader = new FrameReader(this)
    this.decoder = new HpackDecoder(4096, classify)
    this.#block = new HeaderBlock(settings.headerList)
    this.#sendSettings(settings.settings, first)
  }

  #sendSettings(settings: readonly number[], first: Buffer | null): void {
    const { output } = this
    if (first !== null) {
      output.reserve(first.length)
      output.length += first.copy(output.buffer, output.length)
    }
    let at = output.frame(settings.length * 3, h2.SETTINGS, 0, 0)
    for (let i = 0; i < settings.length; i += 2) {
      output.buffer[at] = settings[i] >>> 8
      output.buffer[at + 1] = settings[i]
      h2.writeUint32(output.buffer, at + 2, settings[i + 1])
      at += 6
    }
    this.sendWindowUpdate(0, CONNECTION_WINDOW - h2.DEFAULT_WINDOW)
  }

  // ------------------------------------------------------------------------------------------------- for subclasses

  /** A header section has come, whole; `block` reads it with {@link decode}. */
  protected abstract onHeaders(stream: number, endStream: boolean, buffer: Buffer, from: number, to: number): void
  /** Whether no stream of that identifier was ever opened. */
  protected abstract isIdle(stream: number): boolean
  protected abstract onSetting(identifier: number, value: number): void
  protected abstract onGoaway(lastStream: number, code: number): void
  protected abstract onPong(): void
  /** The peer's first settings are in force. */
  protected onSettled(): void {}
  /** The peer has reset a stream, which is forgotten already. */
  protected abstract onPeerReset(stream: Stream, code: number): void
  /** A stream is forgotten: the last one may have been waited for. */
  protected abstract onStreamGone(): void

  /** Decodes a header section into {@link Session.section}; false: the connection was closed for it. */
  protected decode(buffer: Buffer, from: number, to: number, sink: Parameters<HpackDecoder["decode"]>[3]): boolean {
    if (this.decoder.decode(buffer, from, to, sink)) return true
    this.fail(h2.COMPRESSION_ERROR, "header section can't be decompressed")
    return false
  }

  // -------------------------------------------------------------------------------------------------------- streams

  /** @internal That stream waits for the connection or a window. */
  wait(stream: Stream): void {
    this.#waiting.add(stream, this.streams.size)
  }

  /** @internal So many octets more are kept for slow readers. */
  held(octets: number): void {
    const before = this.#held
    this.#held = before + octets
    workerHold.add(octets)
    if (octets > 0) return
    this.#announceConnectionWindow()
    if (before > CROWDED && this.#held <= CROWDED) this.onRelieved()
  }

  /** Its streams hold so much for slow readers that others had better go elsewhere. */
  protected get crowded(): boolean {
    return this.#held > CROWDED
  }

  /** It is no longer {@link crowded}. */
  protected onRelieved(): void {}

  /** Octets that streams nobody reads may hold before the connection's window stays closed, and all of its streams with it. */
  protected abstract readonly holdLimit: number

  /** @internal Takes from what windows may be widened by. */
  spare(octets: number): number {
    const taken = Math.min(octets, this.#spare)
    this.#spare -= taken
    return taken
  }

  /** @internal */
  sendWindowUpdate(stream: number, increment: number): void {
    if (!this.open || increment <= 0) return
    const at = this.output.frame(4, h2.WINDOW_UPDATE, 0, stream)
    h2.writeUint32(this.output.buffer, at, increment)
  }

  /** @internal */
  sendTrailers(stream: number, trailers: Fields): void {
    this.heads.trailers(stream, trailers)
  }

  /** @internal Both sides have ended: the stream is none of the connection's any more. */
  forget(stream: Stream): void {
    if (this.drop(stream)) this.onStreamGone()
  }

  /** Takes a stream out, with what its window was widened by; false when it was none of the connection's. */
  protected drop(stream: Stream): boolean {
    if (!this.streams.delete(stream.id)) return false
    this.#spare += stream.takeWidened()
    return true
  }

  /** Resets a stream, and lets go of it. */
  resetStream(stream: Stream, code: number): void {
    if (stream.closed) return
    const known = this.drop(stream)
    stream.release()
    if (!known) return
    this.sendReset(stream.id, code)
    this.onStreamGone()
  }

  protected sendReset(stream: number, code: number): void {
    if (!this.open) return
    const at = this.output.frame(4, h2.RST_STREAM, 0, stream)
    h2.writeUint32(this.output.buffer, at, code)
    this.#resets.add(stream)
    // A set keeps its order: the first is the oldest.
    if (this.#resets.size > RESETS_KEPT) this.#resets.delete(this.#resets.values().next().value as number)
  }

  /** The peer has broken the protocol in one stream. */
  protected streamError(id: number, code: number, details: string): void {
    const stream = this.streams.get(id)
    this.spend(COST_RESET)
    if (!this.open) return
    if (stream === undefined) return this.sendReset(id, code)
    this.drop(stream)
    this.sendReset(id, code)
    stream.onLost(details, true)
    stream.release()
    this.onStreamGone()
  }

  /** Useless or abusive work: too much of it ends the connection. */
  protected spend(cost: number): void {
    if (!this.patience.spend(cost, this.wheel.now)) this.fail(h2.ENHANCE_YOUR_CALM, "too much work for nothing")
  }

  // -------------------------------------------------------------------------------------------------------- reading

  /** The first `length` octets of `bytes` have come. */
  onRead(bytes: Buffer, length: number): void {
    if (!this.open) return
    this.lastRead = this.wheel.now
    try {
      this.#reader.read(bytes, length)
      this.#endTurn()
      this.choke()
    } catch (error) {
      this.onFault(error)
      this.fail(h2.INTERNAL_ERROR, "fault")
    }
  }

  #endTurn(): void {
    // Once for all windows that were opened: a frame for each would be as small as the openings are.
    if (this.#opened) {
      this.#opened = false
      this.#waiting.pump()
    }
    const touched = this.#touched
    if (touched.length === 0) return
    for (const stream of touched) {
      stream.touched = false
      if (!stream.closed) stream.onTurnEnd()
    }
    touched.length = 0
  }

  onFrame(type: number, flags: number, stream: number, buffer: Buffer, from: number, to: number): void {
    if (this.#block.stream !== 0 && (type !== h2.CONTINUATION || stream !== this.#block.stream))
      return this.fail(h2.PROTOCOL_ERROR, "header section interrupted")
    if (!this.#settingsSeen) {
      if (type !== h2.SETTINGS || (flags & h2.ACK) !== 0) return this.fail(h2.PROTOCOL_ERROR, "no settings first")
      this.#settingsSeen = true
    }
    switch (type) {
      case h2.HEADERS:
        return this.#onHeaders(flags, stream, buffer, from, to)
      case h2.CONTINUATION:
        return this.#onContinuation(flags, stream, buffer, from, to)
      case h2.WINDOW_UPDATE:
        return this.#onWindowUpdate(stream, buffer, from, to)
      case h2.RST_STREAM:
        return this.#onReset(stream, buffer, from, to)
      case h2.SETTINGS:
        return this.#onSettings(flags, stream, buffer, from, to)
      case h2.PING:
        return this.#onPing(flags, stream, buffer, from, to)
      case h2.GOAWAY:
        if (stream !== 0) return this.fail(h2.PROTOCOL_ERROR, "GOAWAY on a stream")
        if (to - from < 8) return this.fail(h2.FRAME_SIZE_ERROR, "GOAWAY too short")
        this.spend(COST_FRAME)
        return this.onGoaway(h2.readUint31(buffer, from), h2.readUint32(buffer, from + 4))
      case h2.PRIORITY:
        if (stream === 0) return this.fail(h2.PROTOCOL_ERROR, "PRIORITY on the connection")
        if (to - from !== 5 && this.isIdle(stream)) return this.fail(h2.FRAME_SIZE_ERROR, "PRIORITY of a wrong size")
        if (to - from !== 5) return this.streamError(stream, h2.FRAME_SIZE_ERROR, "PRIORITY of a wrong size")
        // Priorities are not looked at (RFC 9113 §5.3).
        return this.spend(COST_FRAME)
      case h2.PUSH_PROMISE:
        return this.fail(h2.PROTOCOL_ERROR, "PUSH_PROMISE")
      default:
        // Unknown types are ignored (RFC 9113 §5.5).
        this.spend(COST_FRAME)
    }
  }

  #onHeaders(flags: number, stream: number, buffer: Buffer, from: number, to: number): void {
    if (stream === 0) return this.fail(h2.PROTOCOL_ERROR, "HEADERS on the connection")
    let start = from
    let end = to
    if ((flags & h2.PADDED) !== 0) {
      end -= from < to ? buffer[from] : 1
      start++
    }
    if ((flags & h2.PRIORITY_FLAG) !== 0) start += 5
    if (start > end) return this.fail(h2.PROTOCOL_ERROR, "padding longer than its frame")
    const endStream = (flags & h2.END_STREAM) !== 0
    if ((flags & h2.END_HEADERS) === 0) {
      if (!this.#block.begin(stream, endStream, buffer, start, end)) this.fail(h2.ENHANCE_YOUR_CALM, "header section too large")
      else this.onBlockBegun()
      return
    }
    this.onHeaders(stream, endStream, buffer, start, end)
  }

  /** A header section has begun whose rest has not come. */
  protected onBlockBegun(): void {}

  #onContinuation(flags: number, stream: number, buffer: Buffer, from: number, to: number): void {
    const block = this.#block
    if (block.stream === 0) return this.fail(h2.PROTOCOL_ERROR, "CONTINUATION of nothing")
    if (!block.append(buffer, from, to)) return this.fail(h2.ENHANCE_YOUR_CALM, "header section too large")
    if ((flags & h2.END_HEADERS) === 0) return
    const { bytes, length, endStream } = block
    block.end()
    this.onHeaders(stream, endStream, bytes, 0, length)
  }

  /**
   * A frame of a stream that is over. `head`: a header section, after which, unless we have reset the stream, the peer can't be
   * right about the connection; else DATA.
   */
  protected onLate(stream: number, head: boolean): void {
    // What was under way when we reset it. Its windows bound it, if it is no flood.
    if (this.#resets.has(stream)) return this.spend(COST_LATE)
    if (head) this.fail(h2.STREAM_CLOSED, "frame on a closed stream")
    else this.streamError(stream, h2.STREAM_CLOSED, "frame on a closed stream")
  }

  onDataStart(flags: number, id: number, length: number, data: number): void {
    this.#dataStream = null
    if (this.#block.stream !== 0) return this.fail(h2.PROTOCOL_ERROR, "header section interrupted")
    if (id === 0) return this.fail(h2.PROTOCOL_ERROR, "DATA on the connection")
    if (!this.#settingsSeen) return this.fail(h2.PROTOCOL_ERROR, "no settings first")
    this.#receiveWindow -= length
    if (this.#receiveWindow < 0) return this.fail(h2.FLOW_CONTROL_ERROR, "more than the connection's window")
    this.#received += length
    this.#announceConnectionWindow()
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(h2.PROTOCOL_ERROR, "DATA on an idle stream")
      else this.onLate(id, false)
      return
    }
    if (stream.remoteClosed) return this.streamError(id, h2.STREAM_CLOSED, "DATA behind the end")
    if (!stream.takeFromWindow(length)) return this.streamError(id, h2.FLOW_CONTROL_ERROR, "more than the stream's window")
    this.#dataStream = stream
    this.#dataLeft = length
    this.#dataEnds = (flags & h2.END_STREAM) !== 0
    if (data > 0) this.patience.earn(EARN_DATA)
    else if (!this.#dataEnds) this.spend(COST_FRAME * 4)
  }

  onDataBytes(buffer: Buffer, from: number, to: number): void {
    const stream = this.#dataStream
    if (stream === null || stream.closed) return
    this.#dataLeft -= to - from
    this.touch(stream)
    stream.receive(buffer, from, to)
  }

  /** The stream is told when all that has come was looked at. */
  protected touch(stream: Stream): void {
    if (stream.touched) return
    stream.touched = true
    this.#touched.push(stream)
  }

  onDataEnd(): void {
    const stream = this.#dataStream
    this.#dataStream = null
    if (stream === null || stream.closed) return
    if (this.#dataLeft > 0) stream.skip(this.#dataLeft)
    if (this.#dataEnds) this.endRemote(stream, null)
  }

  /** The peer has ended its side of a stream. */
  protected endRemote(stream: Stream, trailers: Fields | null): void {
    stream.receiveEnd(trailers)
    if (stream.localClosed && stream.remoteClosed && !stream.closed) this.forget(stream)
  }

  #announceConnectionWindow(): void {
    if (this.#received < CONNECTION_WINDOW >> 1 || this.#held > (workerHold.full ? this.streamWindow : this.holdLimit)) return
    this.sendWindowUpdate(0, this.#received)
    this.#receiveWindow += this.#received
    this.#received = 0
  }

  #onWindowUpdate(id: number, buffer: Buffer, from: number, to: number): void {
    if (to - from !== 4) return this.fail(h2.FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
    const increment = h2.readUint31(buffer, from)
    this.spend(COST_FRAME)
    if (id === 0) {
      if (increment === 0) return this.fail(h2.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
      this.sendWindow += increment
      if (this.sendWindow > h2.MAX_WINDOW) return this.fail(h2.FLOW_CONTROL_ERROR, "window too large")
      this.#opened = true
      return
    }
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(h2.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
      return
    }
    if (increment === 0) return this.streamError(id, h2.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
    if (!stream.widen(increment)) return this.streamError(id, h2.FLOW_CONTROL_ERROR, "window too large")
    this.#opened = true
  }

  #onReset(id: number, buffer: Buffer, from: number, to: number): void {
    if (id === 0) return this.fail(h2.PROTOCOL_ERROR, "RST_STREAM on the connection")
    if (to - from !== 4) return this.fail(h2.FRAME_SIZE_ERROR, "RST_STREAM of a wrong size")
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (this.isIdle(id)) return this.fail(h2.PROTOCOL_ERROR, "RST_STREAM on an idle stream")
      return this.spend(COST_FRAME)
    }
    this.drop(stream)
    const code = h2.readUint32(buffer, from)
    this.onPeerReset(stream, code)
    if (!stream.outlives()) {
      stream.onReset(code, h2.errorName(code))
      stream.release()
    }
    this.onStreamGone()
  }

  #onSettings(flags: number, stream: number, buffer: Buffer, from: number, to: number): void {
    if (stream !== 0) return this.fail(h2.PROTOCOL_ERROR, "SETTINGS on a stream")
    if ((flags & h2.ACK) !== 0) {
      if (to > from) return this.fail(h2.FRAME_SIZE_ERROR, "SETTINGS acknowledged with a payload")
      return this.spend(COST_FRAME)
    }
    if ((to - from) % 6 !== 0) return this.fail(h2.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
    this.spend(COST_FRAME * 8)
    for (let i = from; i < to && this.open; i += 6) this.#onSetting((buffer[i] << 8) | buffer[i + 1], h2.readUint32(buffer, i + 2))
    if (!this.open) return
    this.output.frame(0, h2.SETTINGS, h2.ACK, 0)
    if (!this.#settled) {
      this.#settled = true
      this.onSettled()
    }
    this.#opened = true
  }

  #onSetting(identifier: number, value: number): void {
    switch (identifier) {
      case h2.SETTINGS_HEADER_TABLE_SIZE:
        this.heads.setMaxTableSize(value)
        return
      case h2.SETTINGS_INITIAL_WINDOW_SIZE: {
        if (value > h2.MAX_WINDOW) return this.fail(h2.FLOW_CONTROL_ERROR, "initial window too large")
        const difference = value - this.peerWindow
        this.peerWindow = value
        if (difference === 0) return
        for (const stream of this.streams.values()) {
          if (!stream.widen(difference)) return this.fail(h2.FLOW_CONTROL_ERROR, "window too large")
        }
        return
      }
      case h2.SETTINGS_MAX_FRAME_SIZE:
        if (value < h2.MAX_PAYLOAD || value > 0xffffff) this.fail(h2.PROTOCOL_ERROR, "frame size out of range")
        return
      case h2.SETTINGS_ENABLE_PUSH:
      case h2.SETTINGS_ENABLE_CONNECT_PROTOCOL:
        if (value > 1) return this.fail(h2.PROTOCOL_ERROR, "setting out of range")
    }
    this.onSetting(identifier, value)
  }

  #onPing(flags: number, stream: number, buffer: Buffer, from: number, to: number): void {
    if (stream !== 0) return this.fail(h2.PROTOCOL_ERROR, "PING on a stream")
    if (to - from !== 8) return this.fail(h2.FRAME_SIZE_ERROR, "PING of a wrong size")
    if ((flags & h2.ACK) !== 0) {
      this.spend(COST_FRAME)
      return this.onPong()
    }
    this.spend(COST_FRAME * 2)
    if (!this.open) return
    const at = this.output.frame(8, h2.PING, h2.ACK, 0)
    buffer.copy(this.output.buffer, at, from, to)
  }

  protected sendPing(): void {
    const at = this.output.frame(8, h2.PING, 0, 0)
    this.output.buffer.fill(0, at, at + 8)
  }

  onFrameError(code: number, reason: string): void {
    this.fail(code, reason)
  }

  // ---------------------------------------------------------------------------------------------------------- the end

  protected onWritable(): void {
    this.#waiting.pump()
  }

  protected loseAll(broken: boolean, details: string): void {
    this.stopReading()
    const streams = [...this.streams.values()]
    this.streams.clear()
    for (const stream of streams) {
      if (stream.outlives()) continue
      stream.onLost(details, broken)
      stream.release()
    }
  }

  protected stopReading(): void {
    this.#reader.stopped = true
  }
}
