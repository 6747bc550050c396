// A template of the access log, taken apart: what stands in it as it is, and the operators between.

export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "time"; readonly pieces: readonly TimePiece[] }
  /** `name`: one of {@link valueNames}. `limit`: characters of it that are shown; 0 = as many as of any. */
  | { readonly kind: "value"; readonly name: ValueName; readonly limit: number }
  /** First of `names` (lower case, `:path` and the like among them) that a message's head has. */
  | { readonly kind: "field"; readonly of: "request" | "response" | "trailer"; readonly names: readonly string[]; readonly limit: number }

/** A part of a point in time. `fraction`: that many digits of the second's. */
export type TimePiece = { readonly text: string } | { readonly unit: TimeUnit } | { readonly fraction: number }

export const timeUnits = ["Y", "y", "m", "d", "e", "H", "I", "M", "S", "p", "j", "a", "A", "b", "B", "s", "u", "w"] as const
export type TimeUnit = (typeof timeUnits)[number]

/** Values of an exchange: Envoy's operators without an argument, then the names of our own JSON. */
export const valueNames = [
  "ACCESS_LOG_TYPE",
  "BYTES_RECEIVED",
  "BYTES_SENT",
  "CONNECTION_ID",
  "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
  "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
  "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_DIRECT_REMOTE_PORT",
  "DOWNSTREAM_LOCAL_ADDRESS",
  "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_LOCAL_PORT",
  "DOWNSTREAM_LOCAL_SUBJECT",
  "DOWNSTREAM_LOCAL_URI_SAN",
  "DOWNSTREAM_LOCAL_DNS_SAN",
  "DOWNSTREAM_PEER_SUBJECT",
  "DOWNSTREAM_PEER_URI_SAN",
  "DOWNSTREAM_PEER_DNS_SAN",
  "DOWNSTREAM_PEER_FINGERPRINT_256",
  "DOWNSTREAM_REMOTE_ADDRESS",
  "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
  "DOWNSTREAM_REMOTE_PORT",
  "DOWNSTREAM_TLS_VERSION",
  "DURATION",
  "GRPC_STATUS",
  "GRPC_STATUS_SNAKE",
  "GRPC_STATUS_NUMBER",
  "HOSTNAME",
  "PROTOCOL",
  "REQUESTED_SERVER_NAME",
  "RESPONSE_CODE",
  "RESPONSE_CODE_DETAILS",
  "RESPONSE_DURATION",
  "RESPONSE_FLAGS",
  "RESPONSE_TX_DURATION",
  "ROUTE_NAME",
  "STREAM_ID",
  "TRACE_ID",
  "UPSTREAM_CLUSTER",
  "UPSTREAM_HOST",
  "UPSTREAM_REMOTE_ADDRESS",
  "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
  "UPSTREAM_REMOTE_PORT",
  "UPSTREAM_REQUEST_ATTEMPT_COUNT",
  "attempts",
  "authority",
  "connectMs",
  "durationMs",
  "flag",
  "flagDetails",
  "grpcStatus",
  "listener",
  "method",
  "open",
  "path",
  "peer",
  "protocol",
  "receivedBytes",
  "requestBytes",
  "requestId",
  "responseBytes",
  "route",
  "sentBytes",
  "serverName",
  "service",
  "source",
  "status",
  "tlsVersion",
  "traceId",
  "ttfbMs",
  "upstream",
  "userAgent",
] as const
export type ValueName = (typeof valueNames)[number]
