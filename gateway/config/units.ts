// What people write for durations, sizes and addresses, and what is wrong with what they wrote. Every parser answers with
// a value or with a `Wrong`: a text that says what is wrong and what to write instead.

import { isIP } from "node:net"
import type { Address } from "./model.ts"

/** What is wrong with a value, and after `; ` what to write instead. */
export class Wrong {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** Longest duration: what a timer of the runtimes can wait, 2³¹ − 1 ms. */
export const maxDuration = 0x7fffffff

const CONTROL = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** A user's text for a message: quoted, escaped so that it can't drive a terminal, cut at 80 characters. */
export function quote(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 77)}...` : text
  return JSON.stringify(cut).replace(CONTROL, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

const DURATION = /^(\d{1,12}(?:\.\d{1,6})?) ?([a-zµ]*)$/i
const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `250ms`, `5s`, `1m`, `1h`, or 0 → ms. `fine`: fractions of a millisecond are allowed; `zero`: 0 is allowed. */
export function parseDuration(text: string | number, fine: boolean, zero: boolean): number | Wrong {
  if (text === 0 || text === "0") return zero ? 0 : new Wrong("must be longer than 0; write a duration such as 5s")
  if (typeof text === "number") return new Wrong(`a duration needs a unit; write ${text}s for seconds or ${text}ms for milliseconds`)
  const match = DURATION.exec(text)
  if (match === null) return new Wrong(`${quote(text)} is not a duration; write a number and a unit, such as 250ms, 5s, 1m or 1h`)
  const [, number, unit] = match
  if (unit === "") return new Wrong(`a duration needs a unit; write ${number}s for seconds or ${number}ms for milliseconds`)
  const factor = Object.hasOwn(MS, unit) ? MS[unit] : undefined
  if (factor === undefined) return new Wrong(`${quote(unit)} is not a unit of time; use ms, s, m or h, such as 250ms, 5s, 1m or 1h`)
  // 1.1 * 1000 is not 1100 in binary: rounding at a microsecond hides that.
  const ms = Math.round(Number(number) * factor * 1000) / 1000
  if (ms === 0 && !zero) return new Wrong("must be longer than 0; write a duration such as 5s")
  if (!fine && !Number.isInteger(ms)) return new Wrong(`${quote(text)} is not a whole number of milliseconds; the shortest step is 1ms`)
  if (ms > maxDuration) return new Wrong(`${quote(text)} is too long; the longest duration is 596h`)
  return ms
}

/** Whether a module is to be fetched instead of read. */
export function isUrl(module: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(module)
}

const PERCENT = /^(\d{1,3}(?:\.\d{1,6})?) ?%$/

/** `1%`, `0.5%`, `100%` → a share from 0 to 1. */
export function parsePercent(text: string | number): number | Wrong {
  if (typeof text === "number") return new Wrong(`a share needs a percent sign; write ${text}%`)
  const match = PERCENT.exec(text)
  if (match === null) return new Wrong(`${quote(text)} is not a share; write a number and a percent sign, such as 1% or 0.5%`)
  const percent = Number(match[1])
  if (percent > 100) return new Wrong(`${quote(text)} is more than all; the most is 100%`)
  return percent / 100
}

const SIZE = /^(\d{1,16}) ?([a-z]*)$/i
const OCTETS: Readonly<Record<string, number>> = { b: 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 }
const NEAR_UNIT: Readonly<Record<string, string>> = { k: "KiB", kb: "KiB", m: "MiB", mb: "MiB", g: "GiB", gb: "GiB" }

/** `64KiB`, `1MiB`, `1GiB` or plain octets → octets, within `min` and `max`. */
export function parseSize(text: string | number, min: number, max: number): number | Wrong {
  let octets: number
  if (typeof text === "number") {
    if (!Number.isSafeInteger(text) || text < 0)
      return new Wrong(`${text} is not a size; write whole octets or a unit, such as 64KiB or 1MiB`)
    octets = text
  } else {
    const match = SIZE.exec(text)
    if (match === null) return new Wrong(`${quote(text)} is not a size; write whole octets or a unit, such as 64KiB or 1MiB`)
    const unit = match[2].toLowerCase()
    const factor = unit === "" ? 1 : Object.hasOwn(OCTETS, unit) ? OCTETS[unit] : undefined
    if (factor === undefined) {
      const near = Object.hasOwn(NEAR_UNIT, unit) ? NEAR_UNIT[unit] : undefined
      return new Wrong(
        `${quote(match[2])} is not a unit of size; ${near === undefined ? "use KiB, MiB or GiB" : `write ${match[1]}${near}`}`,
      )
    }
    octets = Number(match[1]) * factor
  }
  if (octets < min) return new Wrong(`is too small; the least is ${showSize(min)}`)
  if (octets > max) return new Wrong(`is too large; the most is ${showSize(max)}`)
  return octets
}

function showSize(octets: number): string {
  if (octets > 0 && octets % 1024 ** 3 === 0) return `${octets / 1024 ** 3}GiB`
  if (octets > 0 && octets % 1024 ** 2 === 0) return `${octets / 1024 ** 2}MiB`
  if (octets > 0 && octets % 1024 === 0) return `${octets / 1024}KiB`
  return `${octets} octets`
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Whether `host` (lower case) is a DNS name: labels of letters, digits, `-` and `_`; the last one not a number. */
export function isDnsName(host: string): boolean {
  if (host.length === 0 || host.length > 253) return false
  const labels = host.split(".")
  for (const label of labels) if (!LABEL.test(label)) return false
  return !/^\d+$/.test(labels[labels.length - 1])
}

/** `host:port` → address. IPv6 in brackets; `host` comes out without them, lower case. `minPort` 0 lets the system choose. */
export function parseAddress(text: string | number, minPort: number): Address | Wrong {
  const shown = String(text)
  if (/^\d+$/.test(shown))
    return new Wrong(`${shown} names no host; write 127.0.0.1:${shown} (this machine only) or 0.0.0.0:${shown} (all interfaces)`)
  const written = quote(shown)
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(shown)) {
    const rest = shown.slice(shown.indexOf("://") + 3).replace(/\/.*$/, "")
    return new Wrong(`${written} is a URL; write only host:port${rest.length > 0 && rest.length <= 80 ? `, here ${quote(rest)}` : ""}`)
  }
  let host: string
  let portText: string
  if (shown.startsWith("[")) {
    const end = shown.indexOf("]")
    if (end === -1 || (end + 1 < shown.length && shown[end + 1] !== ":")) {
      return new Wrong(`${written} is not an address; write an IPv6 address in brackets and its port, such as "[::1]:8080"`)
    }
    host = shown.slice(1, end).toLowerCase()
    portText = shown.slice(end + 2)
    if (isIP(host) !== 6) return new Wrong(`${quote(host)} is not an IPv6 address; brackets are for those only, such as "[::1]:8080"`)
  } else {
    const colon = shown.lastIndexOf(":")
    host = (colon === -1 ? shown : shown.slice(0, colon)).toLowerCase()
    portText = colon === -1 ? "" : shown.slice(colon + 1)
    // fe80::1:8080 can be read either way; four or five decimal digits are rather meant as a port.
    if (isIP(shown) === 6 && !(isIP(host) === 6 && /^\d{4,5}$/.test(portText)))
      return new Wrong(`${written} needs brackets and a port; write "[${shown}]:8080"`)
    if (isIP(host) === 6) return new Wrong(`${written} needs brackets around the IPv6 address; write "[${host}]:${portText}"`)
    if (host === "" || host === "*") {
      return new Wrong(`${written} names no host; write 127.0.0.1:${portText} (this machine only) or 0.0.0.0:${portText} (all interfaces)`)
    }
    if (isIP(host) === 0 && !isDnsName(host))
      return new Wrong(`${quote(host)} is neither an IP address nor a DNS name; write host:port, such as 127.0.0.1:8080`)
  }
  if (portText === "") return new Wrong(`${written} has no port; write host:port, such as 127.0.0.1:8080`)
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : -1
  if (port < minPort || port > 65535) return new Wrong(`${quote(portText)} is not a port; use a number from ${minPort} to 65535`)
  return { host, port }
}

/** An address as it is written: IPv6 in brackets. */
export function formatAddress(address: Address): string {
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`
}
