// Formats of texts, checked without patterns: in one pass, so that no text makes it slow.
import { Cidr, parseIsoDate } from "sluice/sdk"

export const FORMATS = ["date-time", "date", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"]

export function hasFormat(format: string, text: string): bool {
  if (format == "date-time") return isDate(text.substring(0, 10)) && isTime(text) && parseIsoDate(text) != -1
  if (format == "date") return isDate(text)
  if (format == "email") return isEmail(text)
  if (format == "hostname") return isHost(text)
  if (format == "ipv4") return isPlain(text) && !text.includes(":") && Cidr.parse(text) !== null
  if (format == "ipv6") return isPlain(text) && text.includes(":") && Cidr.parse(text) !== null
  return format == "uuid" ? isUuid(text) : isUri(text)
}

/** Characters, not UTF-16 units. */
export function length(text: string): i32 {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) != 0xdc00 || i == 0 || (text.charCodeAt(i - 1) & 0xfc00) != 0xd800) count++
  }
  return count
}

function isDigit(code: i32): bool {
  return <u32>(code - 0x30) < 10
}

function isWord(code: i32): bool {
  return isDigit(code) || <u32>((code | 0x20) - 0x61) < 26
}

/** Whether the text has digits where the mask has a 0, and else what the mask has. */
function fits(text: string, mask: string): bool {
  if (text.length < mask.length) return false
  for (let i = 0; i < mask.length; i++) {
    const code = text.charCodeAt(i)
    if (mask.charCodeAt(i) == 0x30 ? !isDigit(code) : code != mask.charCodeAt(i)) return false
  }
  return true
}

function part(text: string, start: i32): i32 {
  return (text.charCodeAt(start) - 0x30) * 10 + (text.charCodeAt(start + 1) - 0x30)
}

/** 2026-02-28, of the calendar. */
function isDate(text: string): bool {
  if (text.length != 10 || !fits(text, "0000-00-00")) return false
  const year = part(text, 0) * 100 + part(text, 2)
  const month = part(text, 5)
  const day = part(text, 8)
  const leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  const days = month == 2 ? (leap ? 29 : 28) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31
  return month >= 1 && month <= 12 && day >= 1 && day <= days
}

/** What follows the date in RFC 3339: T12:00:00.5Z, or with an offset. */
function isTime(text: string): bool {
  const time = text.substring(11)
  if (text.length < 20 || (text.charCodeAt(10) | 0x20) != 0x74 || !fits(time, "00:00:00")) return false
  if (part(time, 0) > 23 || part(time, 3) > 59 || part(time, 6) > 60) return false
  let at = 8
  if (time.charCodeAt(at) == 0x2e) {
    at++
    const first = at
    while (at < time.length && isDigit(time.charCodeAt(at))) at++
    if (at == first) return false
  }
  const zone = time.substring(at)
  if (zone == "Z" || zone == "z") return true
  if (zone.length != 6 || (!fits(zone, "+00:00") && !fits(zone, "-00:00"))) return false
  return part(zone, 1) <= 23 && part(zone, 4) <= 59
}

function isEmail(text: string): bool {
  const at = text.lastIndexOf("@")
  if (at < 1 || at > 64 || !isHost(text.substring(at + 1))) return false
  for (let i = 0; i < at; i++) {
    const code = text.charCodeAt(i)
    const dot = code == 0x2e
    if (dot && (i == 0 || i == at - 1 || text.charCodeAt(i - 1) == 0x2e)) return false
    if (!dot && !isWord(code) && !"!#$%&'*+-/=?^_`{|}~".includes(text.charAt(i))) return false
  }
  return true
}

/** Labels of letters, digits and hyphens, 253 characters at most. */
function isHost(text: string): bool {
  if (text.length == 0 || text.length > 253) return false
  let label = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0x2e
    if (code == 0x2e) {
      if (i == label || i - label > 63 || text.charCodeAt(i - 1) == 0x2d) return false
      label = i + 1
    } else if (!isWord(code) && (code != 0x2d || i == label)) {
      return false
    }
  }
  return true
}

/** Neither a range nor a zone. */
function isPlain(text: string): bool {
  return text.length <= 45 && !text.includes("/") && !text.includes("%")
}

function isUuid(text: string): bool {
  if (text.length != 36) return false
  for (let i = 0; i < 36; i++) {
    const code = text.charCodeAt(i)
    const dash = i == 8 || i == 13 || i == 18 || i == 23
    if (dash ? code != 0x2d : !isDigit(code) && <u32>((code | 0x20) - 0x61) >= 6) return false
  }
  return true
}

/** A scheme, a colon, and no characters that a URI can't have (RFC 3986). */
function isUri(text: string): bool {
  const colon = text.indexOf(":")
  if (colon < 1 || colon + 1 == text.length || <u32>((text.charCodeAt(0) | 0x20) - 0x61) >= 26) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (i < colon && !isWord(code) && code != 0x2b && code != 0x2d && code != 0x2e) return false
    if (code <= 0x20 || code >= 0x7f || '"<>\\^`{|}'.includes(text.charAt(i))) return false
  }
  return true
}
