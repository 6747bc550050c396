// How a limit is counted in Redis: the generic cell rate algorithm in a script, by Redis' own clock, so that gateways need not
// agree on the time. Of a key nothing is kept but when its bucket will be full again, for no longer than until then.

import { createHash } from "node:crypto"

/**
 * KEYS: the count. ARGV: µs between two requests at the limit's rate; µs of burst; requests asked for; requests given back.
 * Answers with requests granted, requests that would still pass, ms until one more than that would, ms until the bucket is full.
 * Times are counted from 2023, so that fractions of a µs survive in a double. A count that is ahead of what the limit allows (it
 * was higher before, or the clock went back) is cut to it.
 */
export const GCRA_SCRIPT = `
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1672531200) * 1000000 + tonumber(time[2])
local interval = tonumber(ARGV[1])
local tolerance = tonumber(ARGV[2])
local wanted = tonumber(ARGV[3])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
full = math.max(now, math.min(full, now + tolerance) - tonumber(ARGV[4]) * interval)
local room = math.floor((tolerance - (full - now)) / interval + 0.000001)
local granted = math.max(0, math.min(wanted, room))
full = full + granted * interval
if full > now then
  redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil((full - now) / 1000) + 1)
else
  redis.call('DEL', KEYS[1])
end
local left = math.max(0, room - granted)
local after = math.max(0, full - now + (left + 1) * interval - tolerance)
return { granted, left, math.ceil(after / 1000), math.ceil((full - now) / 1000) }
`

/** What the script answered. */
export interface GcraReply {
  readonly granted: number
  readonly left: number
  readonly retryAfter: number
  readonly reset: number
}

/** Null when it is no answer of the script's. */
export function readGcraReply(reply: unknown): GcraReply | null {
  if (!Array.isArray(reply) || reply.length !== 4) return null
  for (const value of reply) if (!Number.isSafeInteger(value) || value < 0) return null
  const [granted, left, retryAfter, reset] = reply as number[]
  return { granted, left, retryAfter, reset }
}

/** Name of a count: the rule's in clear, so that whoever looks finds it, and of what clients send only a hash (128 bits). */
export function countKey(prefix: string, rule: string, values: readonly string[]): string {
  const hash = createHash("sha256")
  for (const value of values) hash.update(`${value.length}:`).update(value, "utf8")
  return `${prefix}${rule}:${hash.digest("base64url").slice(0, 22)}`
}
