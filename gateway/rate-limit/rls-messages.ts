// The messages of envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit, as far as they are used. What a service answers is
// held to what may stand in a message: bad header fields are left out.

import { Buffer } from "node:buffer"
import { parseFieldName } from "../config/message-parts.ts"
import { Wrong } from "../config/units.ts"
import { isFieldValue } from "../http/fields.ts"
import { MessageWriter, readMessage, walkMessage } from "../http/protobuf.ts"

export const SHOULD_RATE_LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"

/** Fields a service may add to a message, and octets of them. */
const MAX_HEADERS = 32
const MAX_HEADER_OCTETS = 16_384
/** ms of the longest time until reset that is told; more is as good as for ever. */
const LONGEST_RESET = 366 * 86_400_000

const OK = 1
const OVER_LIMIT = 2

/** Seconds in RateLimit.Unit: unknown, second, minute, hour, day, month, year. */
const UNITS = [0, 1, 60, 3600, 86_400, 2_592_000, 31_536_000]

/** One entry of a descriptor. */
export interface RlsEntry {
  readonly key: string
  readonly value: string
}

/** RateLimitRequest: a descriptor for each list of entries. `hits`: how many requests this one counts for. */
export function rateLimitRequest(domain: string, descriptors: readonly (readonly RlsEntry[])[], hits: number): Buffer {
  const request = new MessageWriter().octets(1, domain)
  for (const entries of descriptors) {
    const descriptor = new MessageWriter()
    for (const { key, value } of entries) descriptor.octets(1, new MessageWriter().octets(1, key).octets(2, value).take())
    request.octets(2, descriptor.take())
  }
  return request.number(3, hits).take()
}

/** What a service says of one descriptor. */
export interface RlsStatus {
  readonly over: boolean
  /** Requests a unit; −1 = it doesn't say. */
  readonly limit: number
  readonly remaining: number
  /** ms. */
  readonly reset: number
}

export interface RlsAnswer {
  readonly allowed: boolean
  /** Of the descriptors, in their order; may be shorter. */
  readonly statuses: readonly RlsStatus[]
  /** Name, value, name, value …, valid and lower case. */
  readonly requestHeaders: readonly string[]
  readonly responseHeaders: readonly string[]
}

/** Null when it is malformed, or says neither that a request may pass nor that it may not. `descriptors`: as many were asked about. */
export function readRateLimitResponse(message: Uint8Array, descriptors: number): RlsAnswer | null {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length)
  let code = 0
  const statuses: RlsStatus[] = []
  const request = new HeaderList()
  const response = new HeaderList()
  const whole = walkMessage(bytes, (field, value) => {
    if (field === 1 && typeof value === "number") code = value
    if (typeof value === "number") return true
    if (field === 2 && statuses.length < descriptors) {
      const status = readStatus(value)
      if (status === null) return false
      statuses.push(status)
    }
    if (field === 3) return response.add(value)
    return field !== 4 || request.add(value)
  })
  if (!whole || (code !== OK && code !== OVER_LIMIT)) return null
  return { allowed: code === OK, statuses, requestHeaders: request.pairs, responseHeaders: response.pairs }
}

function readStatus(bytes: Buffer): RlsStatus | null {
  const status = readMessage(bytes)
  const limit = status === null ? null : readMessage(status.octets(2))
  const until = status === null ? null : readMessage(status.octets(4))
  if (status === null || limit === null || until === null) return null
  const known = status.octets(2).length > 0
  const unit = (UNITS[limit.number(2)] ?? 0) * 1000
  const reset = until.number(1) * 1000 + until.number(2) / 1e6
  return {
    over: status.number(1) === OVER_LIMIT,
    limit: known ? limit.number(1) : -1,
    remaining: status.number(3),
    // A service that doesn't say so resets within its unit.
    reset: Math.min(LONGEST_RESET, status.octets(4).length > 0 ? reset : unit),
  }
}

/** Fields of a HeaderValue each. */
class HeaderList {
  readonly pairs: string[] = []
  #octets = 0

  /** False when the message is malformed. */
  add(bytes: Buffer): boolean {
    const header = readMessage(bytes)
    if (header === null) return false
    const name = parseFieldName(header.text(1), "edit")
    // `raw_value` is for what is no UTF-8; either is sent as octets.
    const value = (header.octets(3).length > 0 ? header.octets(3) : header.octets(2)).toString("latin1")
    if (name instanceof Wrong || !isFieldValue(value)) return true
    this.#octets += name.length + value.length
    if (this.pairs.length < 2 * MAX_HEADERS && this.#octets <= MAX_HEADER_OCTETS) this.pairs.push(name, value)
    return true
  }
}
