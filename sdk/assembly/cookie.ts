// Cookies that a filter gives to the client.

import { decimal } from "./text"

/**
 * A cookie for `set-cookie`. What the gateway would refuse in a header is refused as a whole; encode values that come from
 * elsewhere with `percent.encode` or `base64url.encode`.
 *
 * ```ts
 * const cookie = new Cookie("group", "b")
 * cookie.maxAge = 86400
 * response.headers.add("set-cookie", cookie.toString())     // group=b; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax
 * ```
 */
@final
export class Cookie {
  path: string = "/"
  /** The host itself unless set. */
  domain: string = ""
  /** Seconds; 0 deletes it at once, negative = until the browser is closed. */
  maxAge: i64 = -1
  secure: boolean = false
  httpOnly: boolean = true
  /** `Lax`, `Strict`, `None`, or "" to say nothing. */
  sameSite: string = "Lax"

  constructor(
    public readonly name: string,
    public value: string,
  ) {}

  /** The value of a `set-cookie` header. */
  toString(): string {
    let text = this.name + "=" + this.value
    if (this.path.length > 0) text += "; Path=" + this.path
    if (this.domain.length > 0) text += "; Domain=" + this.domain
    if (this.maxAge >= 0) text += "; Max-Age=" + decimal(this.maxAge)
    if (this.secure) text += "; Secure"
    if (this.httpOnly) text += "; HttpOnly"
    if (this.sameSite.length > 0) text += "; SameSite=" + this.sameSite
    return text
  }
}

/** The value of `name` in a `cookie` header, without quotes around it; null if it isn't there. */
export function findCookie(header: string, name: string): string | null {
  let at = 0
  const length = header.length
  while (at < length) {
    let end = header.indexOf(";", at)
    if (end < 0) end = length
    while (at < end && header.charCodeAt(at) <= 0x20) at++
    const value = at + name.length
    if (value < end && header.charCodeAt(value) == 0x3d && header.substr(at, name.length) == name) {
      let from = value + 1
      let to = end
      while (to > from && header.charCodeAt(to - 1) <= 0x20) to--
      if (to - from >= 2 && header.charCodeAt(from) == 0x22 && header.charCodeAt(to - 1) == 0x22) {
        from++
        to--
      }
      return header.substring(from, to)
    }
    at = end + 1
  }
  return null
}
