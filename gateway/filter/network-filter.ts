// The interface behind which filters of opaque connections stand, as filter.ts is that of exchanges: a connection has no
// messages, only octets both ways and two ends. Nothing here is asynchronous: a filter that must wait pauses.

import type { ErrorCode } from "../errors.ts"
import type { BodyBuffer } from "./body-buffer.ts"
import type { FilterAction, StreamInfo } from "./filter.ts"

/** Bits of {@link NetworkFilter.dataInterests}: octets from the client, and from the service. */
export const DOWNSTREAM_DATA = 1
export const UPSTREAM_DATA = 2

/** Who ended one side's connection first. */
export const CLOSED_HERE = 1
export const CLOSED_BY_PEER = 2
export type CloseType = typeof CLOSED_HERE | typeof CLOSED_BY_PEER

/** A connection as its filters see it. Actions take effect when the filter's current callback has returned. */
export interface ConnectionStream {
  /** Octets from the client are `requestBytes`, those from the service `responseBytes`. */
  readonly info: StreamInfo
  /** Resumes what `filter` has paused: the connection itself or octets from the client, or octets from the service. */
  continueDownstream(filter: ConnectionFilter): void
  continueUpstream(filter: ConnectionFilter): void
  /** Closes both sides once what has passed the filters is sent. */
  close(): void
  /** Closes both sides with a row of errors.ts: how a filter reports that it failed. */
  fail(code: ErrorCode, details: string): void
  /** Connects to this service whatever the listener says; false when there is no such service or it is too late. */
  chooseService(name: string): boolean
  /** What filters of this connection have stored, by path. */
  property(path: string): Uint8Array | undefined
  /** False when the connection stores too much already. */
  setProperty(path: string, value: Uint8Array): boolean
}

/** One connection in one filter. `onDone` is called always, once, and last. */
export interface ConnectionFilter {
  /** Before anything else. While it pauses here nothing is read, and the service is not connected to. */
  onNewConnection(): FilterAction
  /**
   * Octets have come from the client, or its end. `data` is what has not been passed on: editable now, and while the
   * filter has this direction paused. A filter that keeps its limit of octets is shown more once it has let them go.
   */
  onDownstreamData(data: BodyBuffer, endOfStream: boolean): FilterAction
  /** The same of octets from the service, which pass the filters in reverse. */
  onUpstreamData(data: BodyBuffer, endOfStream: boolean): FilterAction
  /** The client's connection has ended both ways. */
  onDownstreamClose(type: CloseType): void
  /** The service's has; only if there was one. */
  onUpstreamClose(type: CloseType): void
  onDone(): void
}

/** One configured use of a filter on connections. */
export interface NetworkFilter {
  readonly name: string
  /** The octets it wants to see: bits. Others pass it by at no cost. */
  readonly dataInterests: number
  /** Octets of one direction it may keep back; then that direction is read no further. */
  readonly bodyLimit: number
  /** Starts the filter's part of a connection; null when it has nothing to do in it. */
  openConnection(stream: ConnectionStream): ConnectionFilter | null
}
