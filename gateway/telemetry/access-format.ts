// One exchange as one line of JSON, with the usual fields. What came from the network arrives here as latin1 text and leaves as
// valid JSON without a control character in it.

import { REDACTED } from "../config/secrets.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { OTHER_STATUS } from "../http/grpc-status.ts"
import type { AccessEntry, TcpAccessEntry } from "./access-entry.ts"
import { grpcStatusText, jsonText, MAX_PATH, MAX_TEXT, milliseconds } from "./access-text.ts"
import type { NotedFields } from "./noted-fields.ts"

/** Makes lines, with their newline. */
export interface LineFormat {
  line(entry: AccessEntry): string
  connection(entry: TcpAccessEntry): string
}

/** A field of a message that lines show. */
export interface ShownField {
  readonly name: string
  /** Only that it was there. */
  readonly redacted: boolean
}

function grpcStatus(code: number): string {
  return code < OTHER_STATUS ? String(code) : `"${grpcStatusText(code)}"`
}

function security({ version, peerIdentity }: ConnectionSecurity): string {
  const peer = peerIdentity === "" ? "" : `,"peer":${jsonText(peerIdentity, MAX_TEXT)}`
  return `,"tlsVersion":${jsonText(version, MAX_TEXT)}${peer}`
}

// `,"key":{…}`; "" when there is none of them.
function noted(key: string, shown: readonly ShownField[], fields: NotedFields | null): string {
  if (fields === null) return ""
  let text = ""
  for (let i = 0; i < shown.length; i++) {
    const { name, redacted } = shown[i]
    const value = fields.get(name)
    if (value !== undefined)
      text += `${text === "" ? "" : ","}${jsonText(name, MAX_TEXT)}:${jsonText(redacted ? REDACTED : value, MAX_TEXT)}`
  }
  return text === "" ? "" : `,"${key}":{${text}}`
}

const NOTHING: readonly ShownField[] = []

/** Makes lines. Keeps the text of the current second, since making a date costs more than the rest of the line. */
export class AccessFormat implements LineFormat {
  readonly #request: readonly ShownField[]
  readonly #response: readonly ShownField[]
  #second = Number.NaN
  #text = ""

  /** Fields of heads that are shown beside the usual ones. */
  constructor(request: readonly ShownField[] = NOTHING, response: readonly ShownField[] = NOTHING) {
    this.#request = request
    this.#response = response
  }

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
    if (entry.open) line += ',"open":true'
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
    if (this.#request.length > 0) line += noted("requestHeaders", this.#request, entry.requestFields)
    if (this.#response.length > 0) line += noted("responseHeaders", this.#response, entry.responseFields)
    return `${line}}\n`
  }

  /** The line of a TCP connection, with its newline. */
  connection(entry: TcpAccessEntry): string {
    let line = `{"time":"${this.#time(entry.startTime)}","protocol":"TCP"`
    if (entry.open) line += ',"open":true'
    if (entry.flag !== "") line += `,"flag":${jsonText(entry.flag, MAX_TEXT)}`
    if (entry.flagDetails !== "") line += `,"flagDetails":${jsonText(entry.flagDetails, MAX_TEXT)}`
    line += `,"durationMs":${milliseconds(entry.duration)}`
    if (entry.connectTime >= 0) line += `,"connectMs":${milliseconds(entry.connectTime)}`
    line += `,"receivedBytes":${entry.receivedBytes},"sentBytes":${entry.sentBytes},"listener":${jsonText(entry.listener, MAX_TEXT)}`
    if (entry.requestedServerName !== "") line += `,"serverName":${jsonText(entry.requestedServerName, MAX_TEXT)}`
    if (entry.service !== "") line += `,"service":${jsonText(entry.service, MAX_TEXT)}`
    if (entry.upstream !== "") line += `,"upstream":${jsonText(entry.upstream, MAX_TEXT)}`
    if (entry.requestId !== "") line += `,"requestId":${jsonText(entry.requestId, MAX_TEXT)}`
    line += `,"source":${jsonText(entry.source, MAX_TEXT)}`
    return `${line}${entry.security === null ? "" : security(entry.security)}}\n`
  }
}
