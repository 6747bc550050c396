// The rules that requests and responses share for fields which frame a message or belong to one hop (RFC 9112 §6, §7.6.1
// of RFC 9110). Each field is looked at once, taken out of the end-to-end fields, and becomes a property of the head.

import { type Fields, SLOTS } from "../http/fields.ts"
import { isConnectionOption } from "./known-fields.ts"
import { HTAB, SP } from "./octets.ts"

/** Fields that `Connection` may name in one head: each costs a walk through all fields. */
const OPTION_LIMIT = 32

/** What a head's framing and connection fields say. Reused from head to head. */
export class Framing {
  /** −1: no Content-Length. */
  contentLength = -1
  /** Number of Transfer-Encoding fields. */
  transferEncodings = 0
  /** Transfer-Encoding is exactly `chunked`. */
  chunked = false
  /** A well-formed coding other than chunked was named. */
  unknownCoding = false
  close = false
  keepAlive = false
  /** `Connection: upgrade`. */
  upgrades = false
  upgrade = ""
  acceptsTrailers = false
  keepAliveTimeout = -1
  /** Lower-case names that `Connection` lists beside close, keep-alive and upgrade. */
  #options: string[] = []

  reset(): void {
    this.contentLength = -1
    this.transferEncodings = 0
    this.chunked = false
    this.unknownCoding = false
    this.close = false
    this.keepAlive = false
    this.upgrades = false
    this.upgrade = ""
    this.acceptsTrailers = false
    this.keepAliveTimeout = -1
    if (this.#options.length > 0) this.#options = []
  }

  /** Takes a Content-Length; false when it is malformed or there was one already (RFC 9112 §6.3). */
  setContentLength(text: string, start: number, end: number): boolean {
    if (this.contentLength !== -1 || end === start || end - start > 16) return false
    let value = 0
    for (let i = start; i < end; i++) {
      const digit = text.charCodeAt(i) - 48
      if (digit < 0 || digit > 9) return false
      value = value * 10 + digit
    }
    this.contentLength = value
    return value <= Number.MAX_SAFE_INTEGER
  }

  /** Takes a Transfer-Encoding value; false when it isn't a list of tokens. */
  setTransferEncoding(value: string): boolean {
    this.transferEncodings++
    if (value.length === 7 && value.toLowerCase() === "chunked") {
      this.chunked = true
      return true
    }
    for (const part of value.split(",")) {
      const coding = trimmed(part).toLowerCase()
      if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(coding)) return false
      if (coding !== "chunked") this.unknownCoding = true
    }
    return true
  }

  /** Takes a Connection value; false when it is malformed or names a field it may not remove. */
  setConnection(value: string): boolean {
    switch (value) {
      case "keep-alive":
      case "Keep-Alive":
        this.keepAlive = true
        return true
      case "close":
        this.close = true
        return true
    }
    for (const part of value.split(",")) {
      const option = trimmed(part).toLowerCase()
      if (option === "") continue
      if (option === "close") this.close = true
      else if (option === "keep-alive") this.keepAlive = true
      else if (option === "upgrade") this.upgrades = true
      else if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(option) || !isConnectionOption(option)) return false
      else if (this.#options.push(option) > OPTION_LIMIT) return false
    }
    return true
  }

  /** Takes a TE value (requests). */
  setTe(value: string): void {
    for (const part of value.split(",")) if (trimmed(part).toLowerCase() === "trailers") this.acceptsTrailers = true
  }

  /** Takes an Upgrade value: several fields are one list (RFC 9110 §5.3). */
  setUpgrade(value: string): void {
    this.upgrade = this.upgrade === "" ? value.toLowerCase() : `${this.upgrade}, ${value.toLowerCase()}`
  }

  /** Takes a Keep-Alive value: the seconds of `timeout=N`. */
  setKeepAlive(value: string): void {
    const timeout = /(?:^|[,\s])timeout=(\d{1,9})(?:$|[,;\s])/i.exec(value)
    if (timeout !== null) this.keepAliveTimeout = Number(timeout[1])
  }

  /** Removes the fields that `Connection` named. */
  dropOptions(fields: Fields): void {
    for (const option of this.#options) fields.remove(option)
  }
}

// Without white space as fields have it: `trim` takes more away, of it the octet A0.
function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isWhite(text.charCodeAt(start))) start++
  while (end > start && isWhite(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isWhite(c: number): boolean {
  return c === SP || c === HTAB
}

/** Value of field `i`, as it came. */
export function wireValue(fields: Fields, i: number): string {
  return fields.text.slice(fields.at[i * SLOTS + 2], fields.at[i * SLOTS + 3])
}
