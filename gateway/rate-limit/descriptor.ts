// What a rate-limit service is told of a request: one descriptor for each limit, with the keys that Envoy's users know.

import type { RateLimitAsk } from "../filter/native/rate-limit-decider.ts"
import type { RlsEntry } from "./rls-messages.ts"

/** Key of what requests are told apart by: the name of a header, cookie, parameter or claim; else what it is. */
export function descriptorKey(by: string): string {
  if (by === "source") return "remote_address"
  if (by.startsWith("path:")) return `path_${by.slice(5)}`
  const colon = by.indexOf(":")
  return colon < 0 ? by : by.slice(colon + 1)
}

/** Entries for a request: first those that are the same for all. */
export function descriptorEntries({ rule, values }: RateLimitAsk): RlsEntry[] {
  const entries: RlsEntry[] = [...rule.descriptor]
  for (let i = 0; i < rule.by.length; i++) entries.push({ key: descriptorKey(rule.by[i]), value: values[i] ?? "" })
  return entries
}
