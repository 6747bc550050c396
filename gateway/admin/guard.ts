// Who may talk to the admin API. It has no users and passwords; what protects it is where it listens, so a web page must
// not be able to reach it through the browser of someone on the same machine.

import { isIP } from "node:net"

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase()
  if (name === "localhost" || name === "::1" || name === "0:0:0:0:0:0:0:1") return true
  return isIP(name) === 4 ? name.startsWith("127.") : /^::ffff:127\.\d+\.\d+\.\d+$/.test(name)
}

/** Host of a `Host` field's value without its port and brackets, lower case; "" when it is malformed. */
export function hostOf(field: string): string {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]@/\\?#\s]+))(?::\d{1,5})?$/.exec(field)
  return match === null ? "" : (match[1] ?? match[2]).toLowerCase()
}

/**
 * Whether a request's `Host` may be served by an admin API bound to `bound`. Bound to loopback, only names of loopback are: a name
 * that someone else's DNS points at 127.0.0.1 (DNS rebinding) is not. Elsewhere any well-formed name is.
 */
export function isAllowedHost(field: string | undefined, bound: string): boolean {
  const host = field === undefined ? "" : hostOf(field)
  if (host === "") return false
  if (!isLoopback(bound)) return true
  return host === "localhost" || host === "127.0.0.1" || host === "::1" || host === bound.toLowerCase()
}

/** The field every order must carry, with any value. A page of another origin can't send it without being allowed to. */
export const ORDER_FIELD = "x-sluice-admin"

/**
 * Why a request that changes something is refused; null when it isn't. There are no users, so that only this machine may give
 * orders; and no browser may, whatever page it shows.
 */
export function orderRefusal(fields: { get(name: string): string | null }, bound: string): string | null {
  if (!isLoopback(bound)) return `the admin API takes orders only when it listens on a loopback address; it listens on ${bound}`
  if (fields.get(ORDER_FIELD) === null) return `an order needs the header ${ORDER_FIELD}, with any value`
  if (fields.get("origin") !== null || (fields.get("sec-fetch-site") ?? "none") !== "none") return "a web page can't give orders"
  return null
}
