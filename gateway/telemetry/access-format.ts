// One exchange as one line of JSON. What came from the network arrives here as latin1 text and leaves as valid JSON
// without a control character in it.

import type { ConnectionSecurity } from "../http/connection-security.ts"
import { OTHER_STATUS } from "../http/grpc-status.ts"
import type { AccessEntry, TcpAccessEntry } from "./access-log.ts"

/** Characters kept of a path, and of any other text. */
const MAX_PATH = 2048
const MAX_TEXT = 512

// Printable ASCII and latin1 without `"` and `\`: needs no escape, whatever else a string has goes the long way.
const CLEAN = /^[ !#-[\]-~\xa0-\xff]*$/
// What JSON.stringify leaves and a terminal or a line splitter would act on.
const LEFT_BY_JSON = /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

function unicodeEscape(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
}

/** `text` as a JSON string, cut to `limit` characters. */
export function jsonText(text: string, limit: number): string {
  const kept = text.length > limit ? text.slice(0, limit) : text
  return CLEAN.test(kept) ? `"${kept}"` : JSON.stringify(kept).replace(LEFT_BY_JSON, unicodeEscape)
}

// Milliseconds with microseconds; finite whatever comes.
function milliseconds(value: number): number {
  return value >= 0 && value < 1e15 ? Math.round(value * 1000) / 1000 : 0
}

// Its number; as a text what has none.
function grpcStatus(code: number): string {
  if (code < OTHER_STATUS) return String(code)
  return code === OTHER_STATUS ? '"other"' : '"none"'
}

function security({ version, peerIdentity }: ConnectionSecurity): string {
  const peer = peerIdentity === "" ? "" : `,"peer":${jsonText(peerIdentity, MAX_TEXT)}`
  return `,"tlsVersion":${jsonText(version, MAX_TEXT)}${peer}`
}

/** Makes lines. Keeps the text of the current second, since making a date costs more than the rest of the line. */
export class AccessFormat {
  #second = Number.NaN
  #text = ""

  #time(time: number): string {
    const ms = Math.floor(time)
    const second = Math.floor(ms / 1000)
    if (second !== this.#second) {
      const date = new Date(second * 1000)
      if (Number.isNaN(date.getTime())) return "1970-01-01T00:00:00.000Z"
      this.#text = date.toISOString().slice(0, -4)
      this.#second = second
    }
    const rest = ms - second * 1000
    return `${this.#text}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}Z`
  }

  /** The line of an exchange, with its newline. Fields that have no value are left out, but for the main ones. */
  line(entry: AccessEntry): string {
    let line = `{"time":"${this.#time(entry.startTime)}","method":${jsonText(entry.method, MAX_TEXT)},"path":${jsonText(entry.path, MAX_PATH)},"authority":${jsonText(entry.authority, MAX_TEXT)},"protocol":${jsonText(entry.protocol, MAX_TEXT)},"status":${entry.status}`
    if (entry.grpcStatus >= 0) line += `,"grpcStatus":${grpcStatus(entry.grpcStatus)}`
    if (entry.flag !== "") line += `,"flag":${jsonText(entry.flag, MAX_TEXT)}`
    if (entry.flagDetails !== "") line += `,"flagDetails":${jsonText(entry.flagDetails, MAX_TEXT)}`
    line += `,"durationMs":${milliseconds(entry.duration)}`
    if (entry.timeToFirstByte >= 0) line += `,"ttfbMs":${milliseconds(entry.timeToFirstByte)}`
    line += `,"requestBytes":${entry.requestBytes},"responseBytes":${entry.responseBytes}`
    if (entry.listener !== "") line += `,"listener":${jsonText(entry.listener, MAX_TEXT)}`
    if (entry.route !== "") line += `,"route":${jsonText(entry.route, MAX_TEXT)}`
    if (entry.service !== "") line += `,"service":${jsonText(entry.service, MAX_TEXT)}`
    if (entry.upstream !== "") line += `,"upstream":${jsonText(entry.upstream, MAX_TEXT)}`
    line += `,"source":${jsonText(entry.source, MAX_TEXT)}`
    if (entry.security !== null) line += security(entry.security)
    if (entry.requestId !== "") line += `,"requestId":${jsonText(entry.requestId, MAX_TEXT)}`
    if (entry.userAgent !== "") line += `,"userAgent":${jsonText(entry.userAgent, MAX_TEXT)}`
    return `${line}}\n`
  }

  /** The line of a TCP connection, with its newline. */
  connection(entry: TcpAccessEntry): string {
    let line = `{"time":"${this.#time(entry.startTime)}","protocol":"TCP"`
    if (entry.flag !== "") line += `,"flag":${jsonText(entry.flag, MAX_TEXT)}`
    if (entry.flagDetails !== "") line += `,"flagDetails":${jsonText(entry.flagDetails, MAX_TEXT)}`
    line += `,"durationMs":${milliseconds(entry.duration)}`
    if (entry.connectTime >= 0) line += `,"connectMs":${milliseconds(entry.connectTime)}`
    line += `,"receivedBytes":${entry.receivedBytes},"sentBytes":${entry.sentBytes},"listener":${jsonText(entry.listener, MAX_TEXT)}`
    if (entry.serverName !== "") line += `,"serverName":${jsonText(entry.serverName, MAX_TEXT)}`
    if (entry.service !== "") line += `,"service":${jsonText(entry.service, MAX_TEXT)}`
    if (entry.upstream !== "") line += `,"upstream":${jsonText(entry.upstream, MAX_TEXT)}`
    if (entry.requestId !== "") line += `,"requestId":${jsonText(entry.requestId, MAX_TEXT)}`
    line += `,"source":${jsonText(entry.source, MAX_TEXT)}`
    return `${line}${entry.security === null ? "" : security(entry.security)}}\n`
  }
}
