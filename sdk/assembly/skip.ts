// Exchanges whose bodies a filter doesn't want to see after all. Only filters that say so contain this.

const REQUEST: u8 = 1
const RESPONSE: u8 = 2

/** By stream; made when it is first needed, so that other filters don't contain it. */
let skipped: Map<i32, u8> | null = null

export function skip(id: i32, request: boolean): void {
  let all = skipped
  if (all === null) skipped = all = new Map<i32, u8>()
  all.set(id, (all.has(id) ? all.get(id) : 0) | (request ? REQUEST : RESPONSE))
}

export function skips(id: i32, request: boolean): bool {
  const all = skipped
  return all !== null && all.size > 0 && all.has(id) && (all.get(id) & (request ? REQUEST : RESPONSE)) != 0
}

export function deleteSkips(id: i32): void {
  const all = skipped
  if (all !== null && all.size > 0) all.delete(id)
}
