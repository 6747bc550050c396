// The values that templates of the access log can name, each with the way it is read from what has ended. "" stands for what it
// hasn't got.

import { hostname } from "node:os"
import type { ValueName } from "../config/template-model.ts"
import { grpcCodes } from "../http/grpc-status.ts"
import { withPort } from "../http/socket-addresses.ts"
import { type AccessEntry, isConnection } from "./access-entry.ts"
import { grpcStatusText, milliseconds } from "./access-text.ts"

export interface AccessValue {
  /** Its text is a number of JSON when it begins with a digit. */
  readonly number: boolean
  readonly read: (entry: AccessEntry) => string
}

const HOST_NAME = hostname()
/** `DeadlineExceeded` of `DEADLINE_EXCEEDED`, as Envoy writes them. */
const CAMEL = grpcCodes.map((code) =>
  code === "OK"
    ? code
    : code
        .split("_")
        .map((word) => word[0] + word.slice(1).toLowerCase())
        .join(""),
)

const text = (read: (entry: AccessEntry) => string): AccessValue => ({ number: false, read })
const number = (read: (entry: AccessEntry) => string): AccessValue => ({ number: true, read })

const whole = (value: number): string => (value < 0 ? "" : String(Math.floor(milliseconds(value))))
const fine = (value: number): string => (value < 0 ? "" : String(milliseconds(value)))

function addressOf(address: string, port: number): string {
  return address === "" ? "" : withPort(address, port)
}

function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(":"))
  return host.startsWith("[") ? host.slice(1, -1) : host
}

const duration = number((entry) => whole(entry.duration))
const source = text((entry) => entry.source)
const sourceAddress = text((entry) => entry.sourceAddress)
const sourcePort = number((entry) => String(entry.sourcePort))
const direct = text((entry) => addressOf(entry.peerAddress, entry.sourcePort))
const local = text((entry) => addressOf(entry.destinationAddress, entry.destinationPort))
const upstream = text((entry) => entry.upstream)
const requestBytes = number((entry) => String(entry.requestBytes))
const responseBytes = number((entry) => String(entry.responseBytes))
const status = number((entry) => String(entry.status))
const service = text((entry) => entry.service)
const route = text((entry) => entry.route)
const flag = text((entry) => entry.flag)
const serverName = text((entry) => entry.requestedServerName)
const protocol = text((entry) => entry.protocol)
const traceId = text((entry) => entry.traceId)
const requestId = text((entry) => entry.requestId)
const tlsVersion = text((entry) => entry.security?.version ?? "")
const attempts = number((entry) => String(entry.attempts))

export const accessValues: Readonly<Record<ValueName, AccessValue>> = {
  ACCESS_LOG_TYPE: text((entry) =>
    entry.open ? (isConnection(entry) ? "TcpPeriodic" : "DownstreamPeriodic") : isConnection(entry) ? "TcpConnectionEnd" : "DownstreamEnd",
  ),
  BYTES_RECEIVED: requestBytes,
  BYTES_SENT: responseBytes,
  CONNECTION_ID: number((entry) => String(entry.connectionId)),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: local,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: direct,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: text((entry) => entry.peerAddress),
  DOWNSTREAM_DIRECT_REMOTE_PORT: sourcePort,
  DOWNSTREAM_LOCAL_ADDRESS: local,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: text((entry) => entry.destinationAddress),
  DOWNSTREAM_LOCAL_PORT: number((entry) => String(entry.destinationPort)),
  DOWNSTREAM_LOCAL_SUBJECT: text((entry) => entry.security?.local.subject ?? ""),
  DOWNSTREAM_LOCAL_URI_SAN: text((entry) => entry.security?.local.uris.join(",") ?? ""),
  DOWNSTREAM_LOCAL_DNS_SAN: text((entry) => entry.security?.local.dnsNames.join(",") ?? ""),
  DOWNSTREAM_PEER_SUBJECT: text((entry) => entry.security?.peer?.subject ?? ""),
  DOWNSTREAM_PEER_URI_SAN: text((entry) => entry.security?.peer?.uris.join(",") ?? ""),
  DOWNSTREAM_PEER_DNS_SAN: text((entry) => entry.security?.peer?.dnsNames.join(",") ?? ""),
  DOWNSTREAM_PEER_FINGERPRINT_256: text((entry) => entry.security?.peer?.sha256 ?? ""),
  DOWNSTREAM_REMOTE_ADDRESS: source,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: sourceAddress,
  DOWNSTREAM_REMOTE_PORT: sourcePort,
  DOWNSTREAM_TLS_VERSION: tlsVersion,
  DURATION: duration,
  GRPC_STATUS: text((entry) => (entry.grpcStatus < 0 ? "" : (CAMEL[entry.grpcStatus] ?? grpcStatusText(entry.grpcStatus)))),
  GRPC_STATUS_SNAKE: text((entry) => (entry.grpcStatus < 0 ? "" : (grpcCodes[entry.grpcStatus] ?? grpcStatusText(entry.grpcStatus)))),
  GRPC_STATUS_NUMBER: number((entry) => (grpcCodes[entry.grpcStatus] === undefined ? "" : String(entry.grpcStatus))),
  HOSTNAME: text(() => HOST_NAME),
  PROTOCOL: protocol,
  REQUESTED_SERVER_NAME: serverName,
  RESPONSE_CODE: status,
  // One word, as Envoy's.
  RESPONSE_CODE_DETAILS: text((entry) => (entry.flagDetails.includes(" ") ? entry.flagDetails.split(" ").join("_") : entry.flagDetails)),
  RESPONSE_DURATION: number((entry) => whole(entry.timeToFirstByte)),
  RESPONSE_FLAGS: flag,
  RESPONSE_TX_DURATION: number((entry) => (entry.timeToFirstByte < 0 ? "" : whole(Math.max(0, entry.duration - entry.timeToFirstByte)))),
  ROUTE_NAME: route,
  STREAM_ID: requestId,
  TRACE_ID: traceId,
  UPSTREAM_CLUSTER: service,
  UPSTREAM_HOST: upstream,
  UPSTREAM_REMOTE_ADDRESS: upstream,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: text((entry) => hostOf(entry.upstream)),
  UPSTREAM_REMOTE_PORT: number((entry) => entry.upstream.slice(entry.upstream.lastIndexOf(":") + 1)),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: attempts,
  attempts,
  authority: text((entry) => entry.authority),
  connectMs: number((entry) => (isConnection(entry) ? fine(entry.connectTime) : "")),
  durationMs: number((entry) => fine(entry.duration)),
  flag,
  flagDetails: text((entry) => entry.flagDetails),
  grpcStatus: number((entry) => (entry.grpcStatus < 0 ? "" : grpcStatusText(entry.grpcStatus))),
  listener: text((entry) => entry.listener),
  method: text((entry) => entry.method),
  open: text((entry) => (entry.open ? "true" : "")),
  path: text((entry) => entry.path),
  peer: text((entry) => entry.security?.peerIdentity ?? ""),
  protocol,
  receivedBytes: number((entry) => (isConnection(entry) ? String(entry.receivedBytes) : "")),
  requestBytes,
  requestId,
  responseBytes,
  route,
  sentBytes: number((entry) => (isConnection(entry) ? String(entry.sentBytes) : "")),
  serverName,
  service,
  source,
  status,
  tlsVersion,
  traceId,
  ttfbMs: number((entry) => fine(entry.timeToFirstByte)),
  upstream,
  userAgent: text((entry) => entry.userAgent),
}
