// What the access log reads of an exchange or a TCP connection, which as a rule has ended.

import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { NotedFields } from "./noted-fields.ts"

/** One exchange. The exchange itself may have this shape: nothing is kept of it. */
export interface AccessEntry {
  /** It isn't over: everything that is counted is so far. */
  readonly open: boolean
  /** Start, milliseconds since the epoch. */
  readonly startTime: number
  readonly method: string
  readonly path: string
  readonly authority: string
  /** `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`; `TCP`. */
  readonly protocol: string
  /** 0 when the exchange ended without a response head. */
  readonly status: number
  /** Code of a gRPC call, over 16 when it ended without one that is known; −1 when it is none. */
  readonly grpcStatus: number
  /** Response flag; "" when all went well. */
  readonly flag: string
  /** More about the flag; may be "". */
  readonly flagDetails: string
  /** Milliseconds. */
  readonly duration: number
  /** Milliseconds to the response head from upstream; −1 when there was none. */
  readonly timeToFirstByte: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** Names; "" when none. */
  readonly listener: string
  readonly route: string
  readonly service: string
  /** `ip:port` of the endpoint; "" when none was reached. */
  readonly upstream: string
  /** Attempts that were made of it. */
  readonly attempts: number
  /** `ip:port` of the client. */
  readonly source: string
  /** The client, and who holds the other end of the connection: the last proxy in front. */
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly peerAddress: string
  /** Where the client connected to. */
  readonly destinationAddress: string
  readonly destinationPort: number
  readonly connectionId: number
  /** Name of the server the client asked for (SNI); "" = none. */
  readonly requestedServerName: string
  readonly requestId: string
  /** Of the trace it is part of, 32 hex digits; "" = none. */
  readonly traceId: string
  readonly userAgent: string
  /** TLS of the client's connection; null = it has none. */
  readonly security: ConnectionSecurity | null
  /** What was noted of its heads and of the response's trailers; null where nothing was wanted, or there was none. */
  readonly requestFields: NotedFields | null
  readonly responseFields: NotedFields | null
  readonly trailerFields: NotedFields | null
}

/** One TCP connection. What only exchanges have is "", 0 or −1. */
export interface TcpAccessEntry extends AccessEntry {
  /** Milliseconds until the service was connected to; −1 when it never was. */
  readonly connectTime: number
  /** Octets from the client and to it. */
  readonly receivedBytes: number
  readonly sentBytes: number
}

/** Whether an entry is one of a connection. */
export function isConnection(entry: AccessEntry): entry is TcpAccessEntry {
  return entry.protocol === "TCP"
}
