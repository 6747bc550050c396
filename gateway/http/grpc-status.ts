// How a gRPC call ended: the codes and their names, the text beside them, and what an HTTP status stands for.

import { Buffer } from "node:buffer"

/** Names of the codes (google.rpc.Code), at their numbers. */
export const grpcCodes = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const

/** A value that is none of the codes. */
export const OTHER_STATUS: number = grpcCodes.length
/** There was no `grpc-status`. */
export const NO_STATUS: number = grpcCodes.length + 1

/** The code in a `grpc-status` field; {@link OTHER_STATUS} or {@link NO_STATUS} when it is none. */
export function parseGrpcStatus(text: string | undefined): number {
  if (text === undefined) return NO_STATUS
  if (text.length !== 1 && text.length !== 2) return OTHER_STATUS
  let code = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return OTHER_STATUS
    code = code * 10 + digit
  }
  return code < OTHER_STATUS && (text.length === 1 || code > 9) ? code : OTHER_STATUS
}

/** As {@link parseGrpcStatus}, but −1 when there is none. */
export function knownGrpcStatus(text: string | undefined): number {
  return text === undefined ? -1 : parseGrpcStatus(text)
}

/** The code that clients themselves derive from an HTTP status (gRPC, "HTTP to gRPC Status Code Mapping"). */
export function grpcStatusOfHttp(status: number): number {
  switch (status) {
    case 400:
      return 13
    case 401:
      return 16
    case 403:
      return 7
    case 404:
      return 12
    case 429:
    case 502:
    case 503:
    case 504:
      return 14
    default:
      return 2
  }
}

/** HTTP statuses that stand for the codes, at their numbers (google.rpc.Code). */
const HTTP_STATUSES = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]

/** The HTTP status that stands for a code. */
export function httpStatusOfGrpc(code: number): number {
  return HTTP_STATUSES[code] ?? 500
}

/** A text as `grpc-message` has it: what isn't printable ASCII, and `%`, is percent-encoded octet by octet. */
export function encodeGrpcMessage(text: string): string {
  return Buffer.from(text, "utf8")
    .toString("latin1")
    .replace(/[^\x20-\x24\x26-\x7e]/g, (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)
}

/** The text of a `grpc-message`. What isn't well-formed in it stays as it is, as the specification asks for. */
export function decodeGrpcMessage(value: string): string {
  if (!value.includes("%")) return value
  const octets = value.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(octets, "latin1").toString("utf8")
}
