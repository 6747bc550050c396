// The shapes of what is covered. Each function answers where the thing that begins at `at` ends, or 0 if it is none. What stands
// before `fence` doesn't belong to it.

/** Longest local part and domain of an e-mail address that are looked at. */
const MAX_LOCAL = 64
const MAX_DOMAIN = 253
/** What a secret has behind its prefix at the least. */
const MIN_SECRET = 8

function isDigit(code: u8): bool {
  return <u32>(code - 0x30) < 10
}

function isLetter(code: u8): bool {
  return <u32>((code | 0x20) - 0x61) < 26
}

/** Letters and digits; everything beyond ASCII counts as a letter. */
// @ts-ignore: decorator
@inline
export function isWord(code: u8): bool {
  return isDigit(code) || isLetter(code) || code >= 0x80
}

/**
 * 13 to 19 digits of a known network with the right check digit (Luhn). `loose`: they may be in groups, of which only the last has
 * fewer than four.
 */
export function cardEnd(text: Uint8Array, at: i32, fence: i32, loose: bool): i32 {
  // A decimal fraction may look like one.
  if (at > fence + 1 && text[at - 1] == 0x2e && isDigit(text[at - 2])) return 0
  if (at > fence && isDigit(text[at - 1])) return 0
  const first = text[at] - 0x30
  if (first < 2 || first > 6) return 0
  let even = 0
  let odd = 0
  let count = 0
  let prefix = 0
  let best = 0
  let group = 0
  let i = at
  while (i < text.length && count < 19) {
    const code = text[i]
    if (!isDigit(code)) {
      // One separator, with a digit behind it.
      const between = loose && (code == 0x20 || code == 0x2d || code == 0x2b) && i + 1 < text.length && isDigit(text[i + 1])
      if (!between || group < 4) break
      group = 0
      i++
      continue
    }
    const digit = <i32>(code - 0x30)
    const double = digit > 4 ? digit * 2 - 9 : digit * 2
    // Which digits are doubled depends on how many there are: both sums are kept.
    if ((count & 1) == 0) {
      even += double
      odd += digit
    } else {
      even += digit
      odd += double
    }
    if (count < 6) prefix = prefix * 10 + digit
    count++
    group++
    i++
    const whole = i == text.length || !isDigit(text[i])
    if (whole && count >= 13 && isNetwork(prefix, count) && ((count & 1) == 0 ? even : odd) % 10 == 0) best = i
  }
  return best
}

/** Whether a network gives out numbers that begin with these six digits and have this length. */
function isNetwork(prefix: i32, length: i32): bool {
  const two = prefix / 10000
  const four = prefix / 100
  if (two >= 40 && two <= 49) return length == 13 || length == 16 || length == 19 // Visa
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return length == 16 // Mastercard
  if (two == 34 || two == 37) return length == 15 // American Express
  if (two == 36 || two == 38 || two == 39 || two == 30) return length >= 14 // Diners Club
  if (two == 35) return length >= 16 // JCB
  if (two >= 60 && two <= 69) return length >= 13 // Discover, UnionPay, Maestro, RuPay
  return (two == 50 || (two >= 56 && two <= 59)) && length >= 13 // Maestro
}

/** 123-45-6789 with dashes or spaces, of those that are given out. */
export function ssnEnd(text: Uint8Array, at: i32, fence: i32): i32 {
  if (at + 11 > text.length) return 0
  const separator = text[at + 3]
  if ((separator != 0x2d && separator != 0x20) || text[at + 6] != separator) return 0
  if (at > fence && text[at - 1] == 0x2d) return 0
  if (at + 11 < text.length && (isWord(text[at + 11]) || text[at + 11] == 0x2d)) return 0
  const area = digits(text, at, 3)
  const group = digits(text, at + 4, 2)
  const serial = digits(text, at + 7, 4)
  return area > 0 && area < 900 && area != 666 && group > 0 && serial > 0 ? at + 11 : 0
}

/** −1 = not all of them are digits. */
function digits(text: Uint8Array, at: i32, count: i32): i32 {
  let value = 0
  for (let i = 0; i < count; i++) {
    if (!isDigit(text[at + i])) return -1
    value = value * 10 + <i32>(text[at + i] - 0x30)
  }
  return value
}

/** Lengths of IBANs by country (ISO 13616 registry). */
const LENGTHS =
  "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18" +
  "GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15" +
  "OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"

/** A known country, its length (in groups or not), and the right check digits (ISO 7064, MOD 97-10). */
export function ibanEnd(text: Uint8Array, at: i32): i32 {
  if (at + 15 > text.length || !isLetter(text[at + 1]) || !isDigit(text[at + 2]) || !isDigit(text[at + 3])) return 0
  const length = ibanLength(text[at] & 0xdf, text[at + 1] & 0xdf)
  if (length == 0) return 0
  let rest = 0
  let count = 4
  let i = at + 4
  while (i < text.length && count < length) {
    const code = text[i]
    if ((code == 0x20 || code == 0x2d || code == 0x2b) && (count & 3) == 0) {
      i++
      if (i < text.length && !isDigit(text[i]) && !isLetter(text[i])) return 0
      continue
    }
    if (!isDigit(code) && !isLetter(code)) return 0
    rest = feed(rest, code)
    count++
    i++
  }
  if (count < length || (i < text.length && isWord(text[i]))) return 0
  for (let k = 0; k < 4; k++) rest = feed(rest, text[at + k])
  return rest == 1 ? i : 0
}

function feed(rest: i32, code: u8): i32 {
  return isDigit(code) ? (rest * 10 + <i32>(code - 0x30)) % 97 : (rest * 100 + <i32>((code | 0x20) - 0x57)) % 97
}

function ibanLength(first: u8, second: u8): i32 {
  for (let i = 0; i < LENGTHS.length; i += 4) {
    if (LENGTHS.charCodeAt(i) != first || LENGTHS.charCodeAt(i + 1) != second) continue
    return (LENGTHS.charCodeAt(i + 2) - 0x30) * 10 + (LENGTHS.charCodeAt(i + 3) - 0x30)
  }
  return 0
}

/** +, a country code, and 8 to 15 digits in all, with the usual separators; of a form also the +. */
export function phoneEnd(text: Uint8Array, at: i32, fence: i32, form: bool): i32 {
  if (at > fence && isWord(text[at - 1])) return 0
  let count = 0
  let best = 0
  let gap = 0
  for (let i = at + 1; i < text.length && count <= 15; i++) {
    const code = text[i]
    if (isDigit(code)) {
      if (count == 0 && (code == 0x30 || i > at + 1)) return 0
      count++
      gap = 0
      const whole = i + 1 == text.length || !isWord(text[i + 1])
      if (whole && count >= 8 && count <= 15) best = i + 1
    } else {
      const separator = code == 0x20 || code == 0x2d || code == 0x2e || code == 0x28 || code == 0x29 || code == 0x2f
      if ((!separator && !(form && code == 0x2b)) || ++gap > 2) break
    }
  }
  return best
}

/** Where the domain behind the @ ends: labels and a top-level domain of letters. */
export function emailEnd(text: Uint8Array, at: i32): i32 {
  let label = at + 1
  let dots = 0
  let end = 0
  let i = at + 1
  const most = min(text.length, at + 1 + MAX_DOMAIN)
  while (i <= most) {
    if (i == most && most < text.length) break
    const code: u8 = i < most ? text[i] : 0
    if (isWord(code) || (code == 0x2d && i > label)) {
      i++
      continue
    }
    // A label ends: with what came before, it may be all of a domain.
    if (i == label) break
    if (dots > 0 && i - label >= 2 && !isDigit(text[i - 1]) && text[i - 1] != 0x2d) end = i
    if (code != 0x2e) break
    dots++
    label = ++i
  }
  return end
}

/** Where the local part before the @ begins; `least` is as far back as one may go. */
export function emailStart(text: Uint8Array, at: i32, least: i32): i32 {
  const limit = max(least, at - MAX_LOCAL)
  let start = at
  while (start > limit && (isWord(text[start - 1]) || isLocal(text[start - 1]))) start--
  // Not in the middle of a character.
  while (start > least && (text[start] & 0xc0) == 0x80) start--
  return start
}

/** The other characters of a local part that occur (RFC 5322 allows more): ! # $ ' * + - . ^ _ ` { | } ~ */
function isLocal(code: u8): bool {
  return code == 0x2e || code == 0x5f || code == 0x2d || code == 0x2b || code == 0x27 || code == 0x21 || code == 0x23 || code == 0x24
    || code == 0x2a || code == 0x5e || code == 0x60 || code == 0x7c || code == 0x7e
}

/** A prefix and what follows it. */
export function secretEnd(text: Uint8Array, at: i32, prefixes: Uint8Array[]): i32 {
  for (let p = 0; p < prefixes.length; p++) {
    const prefix = prefixes[p]
    if (at + prefix.length + MIN_SECRET > text.length) continue
    if (memory.compare(text.dataStart + <usize>at, prefix.dataStart, <usize>prefix.length) != 0) continue
    let i = at + prefix.length
    while (i < text.length && isSecret(text[i])) i++
    if (i - at - prefix.length >= MIN_SECRET) return i
  }
  return 0
}

function isSecret(code: u8): bool {
  return isDigit(code) || isLetter(code) || code == 0x2d || code == 0x5f || code == 0x2e || code == 0x7e || code == 0x2b || code == 0x2f
    || code == 0x3d
}
