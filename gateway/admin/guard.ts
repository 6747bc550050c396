// Who may talk to the admin API, as rules without a server. What protects it first is where it listens: so a web page must not be
// able to reach it through the browser of someone on the same machine.

import { isLoopback } from "../config/loopback.ts"

/** Host of a `Host` field's value without its port and brackets, lower case; "" when it is malformed. */
export function hostOf(field: string): string {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]@/\\?#\s]+))(?::\d{1,5})?$/.exec(field)
  return match === null ? "" : (match[1] ?? match[2]).toLowerCase()
}

/**
 * Whether a request's `Host` may be served by an admin API bound to `bound`. Bound to loopback, only names of loopback are: a name
 * that someone else's DNS points at 127.0.0.1 (DNS rebinding) is not. Elsewhere any well-formed name is.
 */
export function isAllowedHost(field: string | null, bound: string): boolean {
  const host = field === null ? "" : hostOf(field)
  if (host === "") return false
  if (!isLoopback(bound)) return true
  return host === "localhost" || host === "127.0.0.1" || host === "::1" || host === bound.toLowerCase()
}

/** The field every order must carry, with any value. A page of another origin can't send it without being allowed to. */
const ORDER_FIELD = "x-sluice-admin"
/** Who gives an order, in his own words. */
export const USER_FIELD = "x-sluice-user"

/** Fields of a request. */
export interface Fields {
  get(name: string): string | null
}

/** Whether a method changes something. */
export function isOrder(method: string): boolean {
  return method !== "GET" && method !== "HEAD"
}

/** Whether a request is answered whoever asks: probes, with less in them, and the dashboard's page and files, which hold nothing. */
export function isPublic(method: string, path: string, openMetrics: boolean): boolean {
  if (isOrder(method)) return false
  if (path === "/live" || path === "/ready" || path === "/dashboard" || path.startsWith("/dashboard/")) return true
  return openMetrics && path === "/metrics"
}

/** `none`: no browser sent it, or it was typed in. `own`: a page of ours did. `foreign`: another page. */
export type Page = "none" | "own" | "foreign"

/**
 * Which page has a browser send a request. Browsers tell of it in fields that no page can set; both must say that it is ours. Over
 * plain HTTP to another machine they send `Origin` alone (Fetch Metadata §2): there nobody gets in without the token, which no other page
 * knows. `scheme`: of the admin API.
 */
export function pageOf(fields: Fields, scheme: "http" | "https"): Page {
  const origin = fields.get("origin")
  const site = fields.get("sec-fetch-site")
  if (origin === null && (site === null || site === "none")) return "none"
  const host = fields.get("host") ?? ""
  if (site !== "same-origin" && (site !== null || scheme === "https" || isLoopback(hostOf(host)))) return "foreign"
  // GET has no `Origin` when a page asks its own.
  return origin === null || origin.toLowerCase() === `${scheme}://${host}`.toLowerCase() ? "own" : "foreign"
}

/**
 * Why a request may not be served because of the page it comes from; null when it may. Orders need a field that no foreign page can
 * send; of what pages do, only ours may do anything, and a link from elsewhere may be followed, but not into a frame: nobody would see it.
 */
export function pageRefusal(method: string, fields: Fields, scheme: "http" | "https"): string | null {
  const page = pageOf(fields, scheme)
  if (isOrder(method)) {
    if (fields.get(ORDER_FIELD) === null) return `an order needs the header ${ORDER_FIELD}; send it, with any value`
    if (page === "foreign" || (page === "own" && fields.get("origin") === null)) {
      return "a web page can't give orders; only the dashboard of this gateway can, from the address it was loaded from"
    }
    return null
  }
  const followed = fields.get("sec-fetch-mode") === "navigate" && (fields.get("sec-fetch-dest") ?? "document") === "document"
  if (page === "foreign" && !followed) {
    return "a web page can't read this; only the dashboard of this gateway can, from the address it was loaded from"
  }
  return null
}

/** What no text of somebody else's making may have where it is shown. */
const UNPRINTABLE = /[^\x20-\x7e\u00a0-\uffff]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

export function printable(text: string): string {
  return text.replace(UNPRINTABLE, "")
}

/** Who gives an order, as the history tells: what he says he is, what he has shown, and where he is. `proven` "": nothing. */
export function describeOrderer(claimed: string | null, proven: string, address: string): string {
  const name = printable(claimed ?? "")
    .trim()
    .slice(0, 100)
  const who = [name, proven === "" ? "" : name === "" ? proven : `(${proven})`].filter((part) => part !== "").join(" ")
  return `${who === "" ? "somebody" : who}${address === "" ? "" : ` from ${address}`}`
}
