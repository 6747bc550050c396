// Dates as text. All are UTC.

import { ascii, decimal } from "./text"

const DAY: i64 = 86_400_000
const DAYS = "SunMonTueWedThuFriSat"
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
/** Years 0001–9999 in milliseconds since 1970. */
const EARLIEST: i64 = -62_135_596_800_000
const LATEST: i64 = 253_402_300_799_999

let year: i64 = 0
let month: i64 = 0
let day: i64 = 0

/** Days since 1970 to a date of the Gregorian calendar; years begin in March here, so that leap days come last. */
function toDate(days: i64): void {
  const shifted = days + 719_468
  const era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  const shiftedMonth = (5 * dayOfYear + 2) / 153
  day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
  month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
}

function toDays(y: i64, m: i64, d: i64): i64 {
  const shifted = m <= 2 ? y - 1 : y
  const era = (shifted >= 0 ? shifted : shifted - 399) / 400
  const yearOfEra = shifted - era * 400
  const dayOfYear = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1
  return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}

function floorDays(milliseconds: i64): i64 {
  return (milliseconds >= 0 ? milliseconds : milliseconds - DAY + 1) / DAY
}

function padded(value: i64, digits: i32): string {
  return decimal(value).padStart(digits, "0")
}

function clockTime(rest: i64): string {
  return padded(rest / 3_600_000, 2) + ":" + padded((rest / 60_000) % 60, 2) + ":" + padded((rest / 1000) % 60, 2)
}

/**
 * The form of `date`, `expires` and `last-modified`: `Sun, 06 Nov 1994 08:49:37 GMT`.
 *
 * ```ts
 * response.headers.set("expires", httpDate(now() + 60_000))
 * ```
 *
 * @param milliseconds since 1970.
 */
export function httpDate(milliseconds: i64): string {
  const time = max(EARLIEST, min(milliseconds, LATEST))
  const days = floorDays(time)
  toDate(days)
  const weekday = <i32>(((days % 7) + 11) % 7) * 3
  const name = <i32>(month - 1) * 3
  return (
    DAYS.substring(weekday, weekday + 3) +
    ", " +
    padded(day, 2) +
    " " +
    MONTHS.substring(name, name + 3) +
    " " +
    padded(year, 4) +
    " " +
    clockTime(time - days * DAY) +
    " GMT"
  )
}

/**
 * `1994-11-06T08:49:37.000Z`.
 *
 * ```ts
 * log.info("since " + isoDate(started))
 * ```
 *
 * @param milliseconds since 1970.
 */
export function isoDate(milliseconds: i64): string {
  const time = max(EARLIEST, min(milliseconds, LATEST))
  const days = floorDays(time)
  toDate(days)
  const rest = time - days * DAY
  return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + clockTime(rest) + "." + padded(rest % 1000, 3) + "Z"
}

/**
 * Reads the form that {@link httpDate} writes.
 *
 * ```ts
 * const since = request.headers.get("if-modified-since")
 * if (since !== null && parseHttpDate(since) >= changed) return new Reply(304)
 * ```
 *
 * @returns milliseconds since 1970, or -1 for anything else and for dates before 1970.
 */
export function parseHttpDate(text: string): i64 {
  if (text.length != 29 || text.substring(3, 5) != ", " || text.substring(25) != " GMT") return -1
  const name = MONTHS.indexOf(text.substring(8, 11))
  if (name < 0 || name % 3 != 0) return -1
  if (text.charCodeAt(7) != 0x20 || text.charCodeAt(11) != 0x20 || text.charCodeAt(16) != 0x20) return -1
  return join(digits(text, 12, 16), name / 3 + 1, digits(text, 5, 7), text, 17)
}

/**
 * Reads `1994-11-06T08:49:37Z`, with or without a fraction, and with `Z` or an offset such as `+01:00`.
 *
 * ```ts
 * const until = parseIsoDate(config.string("until"))
 * if (until < 0) config.fail('"until" must be a date such as 2030-01-01T00:00:00Z')
 * ```
 *
 * @returns milliseconds since 1970, or -1 for anything else and for dates before 1970.
 */
export function parseIsoDate(text: string): i64 {
  if (text.length < 20 || text.charCodeAt(4) != 0x2d || text.charCodeAt(7) != 0x2d || (text.charCodeAt(10) | 0x20) != 0x74) return -1
  let time = join(digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10), text, 11)
  if (time < 0) return -1
  let at = 19
  if (text.charCodeAt(at) == 0x2e) {
    const start = ++at
    let unit: i64 = 100
    for (; at < text.length && <u32>text.charCodeAt(at) - 0x30 <= 9; at++) {
      time += unit * <i64>(text.charCodeAt(at) - 0x30)
      unit /= 10
    }
    if (at == start || at == text.length) return -1
  }
  const sign = text.charCodeAt(at)
  if ((sign | 0x20) == 0x7a) return at + 1 == text.length ? time : -1
  if ((sign != 0x2b && sign != 0x2d) || at + 6 != text.length || text.charCodeAt(at + 3) != 0x3a) return -1
  const hours = digits(text, at + 1, at + 3)
  const minutes = digits(text, at + 4, at + 6)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return -1
  const offset = (hours * 60 + minutes) * 60_000
  return max<i64>(sign == 0x2b ? time - offset : time + offset, -1)
}

/** A number of digits only, or -1. */
function digits(text: string, start: i32, end: i32): i64 {
  for (let i = start; i < end; i++) {
    if (<u32>text.charCodeAt(i) - 0x30 > 9) return -1
  }
  return ascii.int(text.substring(start, end), -1)
}

/** A date, and a time `hh:mm:ss` that begins at `at`. */
function join(y: i64, m: i64, d: i64, text: string, at: i32): i64 {
  if (text.charCodeAt(at + 2) != 0x3a || text.charCodeAt(at + 5) != 0x3a) return -1
  const hour = digits(text, at, at + 2)
  const minute = digits(text, at + 3, at + 5)
  const second = digits(text, at + 6, at + 8)
  if (y < 1970 || m < 1 || m > 12 || d < 1 || d > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59) return -1
  if (second < 0 || second > 60) return -1
  const days = toDays(y, m, d)
  toDate(days)
  if (day != d) return -1
  return days * DAY + hour * 3_600_000 + minute * 60_000 + second * 1000
}
