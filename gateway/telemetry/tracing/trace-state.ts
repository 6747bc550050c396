// What others keep of their own in a trace, `tracestate` (W3C Trace Context §3.3): it is passed on as it came, as long as it is well-formed,
// and its length is cut to what every participant has to pass on.

/** §3.3.1.1. */
const MAX_MEMBERS = 32
/** Characters, §3.3.1.5: at least so many are to be passed on, and no more are. */
const MAX_LENGTH = 512
/** Members longer than this are the first to go. */
const LONG_MEMBER = 128
/** Characters that are looked at; a longer one is nobody's. */
const MAX_READ = 8192

/** §3.3.1.3 of Level 2, which allows all that Level 1 does. */
const KEY = /^[a-z0-9][_0-9a-z\-*/@]{0,255}$/
/** Printable, without comma and equals sign, no space at its end. */
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/**
 * `text`: all fields of the name, joined by commas. "" when it isn't well-formed, which it isn't with more members than there may be: then
 * all of it is dropped (§3.3.1). Of members with the same key the first is kept, which is the newest.
 */
export function parseTracestate(text: string): string {
  if (text.length > MAX_READ) return ""
  const members: string[] = []
  const keys = new Set<string>()
  for (const part of text.split(",")) {
    const member = part.replace(/^[\t ]+|[\t ]+$/g, "")
    // Empty ones are allowed, and mean nothing.
    if (member === "") continue
    const equals = member.indexOf("=")
    const key = member.slice(0, equals)
    if (equals < 1 || !KEY.test(key) || !VALUE.test(member.slice(equals + 1))) return ""
    if (keys.has(key)) continue
    if (members.length === MAX_MEMBERS) return ""
    keys.add(key)
    members.push(member)
  }
  return cut(members).join(",")
}

function cut(members: readonly string[]): readonly string[] {
  let kept = members
  if (lengthOf(kept) <= MAX_LENGTH) return kept
  for (let i = kept.length - 1; i >= 0 && lengthOf(kept) > MAX_LENGTH; i--) {
    if (kept[i].length > LONG_MEMBER) kept = kept.toSpliced(i, 1)
  }
  while (lengthOf(kept) > MAX_LENGTH) kept = kept.slice(0, -1)
  return kept
}

function lengthOf(members: readonly string[]): number {
  let length = Math.max(0, members.length - 1)
  for (const member of members) length += member.length
  return length
}
