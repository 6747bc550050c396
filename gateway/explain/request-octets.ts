// Makes the request that is asked about: its octets as a client would write them, read by the codec's own parser, so that what
// would be refused on the wire is refused here.

import type { ErrorCode } from "../errors.ts"
import type { RequestHead } from "../http/message.ts"
import { REFUSED, RequestParser } from "../http1/request-parser.ts"
import type { ExplainRequest } from "./explanation.ts"

/** What of a URL a client sends. */
export interface UrlParts {
  /** "" = it was a path alone. */
  readonly scheme: "" | "http" | "https"
  readonly authority: string
  readonly target: string
}

/** Where a request of the listener would be read. */
export interface HeadLimits {
  readonly requestLine: number
  readonly head: number
  readonly fields: number
}

/** Null: it is no URL of HTTP. Nothing of its path is made over: how it is spelled is what is asked about. */
export function urlParts(url: string): UrlParts | null {
  if (url.startsWith("/") || url === "*") return { scheme: "", authority: "", target: url }
  const match = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(url)
  if (match === null) return null
  const scheme = match[1].toLowerCase() as "http" | "https"
  const target = match[3].startsWith("/") ? match[3] : `/${match[3]}`
  return { scheme, authority: match[2], target }
}

/** The head of the request, or the code it would be refused with. `authority`: for requests whose URL and headers have none. */
export function requestHead(
  { method, headers = [] }: ExplainRequest,
  url: UrlParts,
  authority: string,
  limits: HeadLimits,
): RequestHead | ErrorCode {
  const said = headers.some(([name]) => name.toLowerCase() === "host")
  const host = said ? "" : `host: ${url.authority || authority}\r\n`
  const fields = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  const octets = Buffer.from(`${method} ${url.target} HTTP/1.1\r\n${host}${fields}\r\n`, "utf8")
  const parser = new RequestParser({ startLine: limits.requestLine, head: limits.head, fields: limits.fields })
  const end = parser.read(octets, 0, octets.length)
  if (end === REFUSED) return parser.error as ErrorCode
  // Octets behind the head's end: a name or value had line ends in it.
  return end === octets.length ? parser.head : "badRequest"
}
