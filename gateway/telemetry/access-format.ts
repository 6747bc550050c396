// One exchange as one line of JSON, with the usual fields. What came from the network arrives here as latin1 text and leaves as
// valid JSON without a control character in it.

import { REDACTED } from "../config/secrets.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { OTHER_STATUS } from "../http/grpc-status.ts"
import type { AccessEntry, TcpAccessEntry } from "./access-entry.ts"
import { NamedMember, RepeatedMember, SourceMember } from "./access-member.ts"
import { grpcStatusText, jsonText, MAX_PATH, MAX_TEXT, millisecondsText } from "./access-text.ts"
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

const BEGINNING = '{"time":"'
const EPOCH = `${BEGINNING}1970-01-01T00:00:00.000Z"`

/** Makes lines. Keeps the texts of what lines have in common, since making them costs more than the rest of a line. */
export class AccessFormat implements LineFormat {
  readonly #request: readonly ShownField[]
  readonly #response: readonly ShownField[]
  readonly #method = new RepeatedMember(',"method":', ',"path":')
  readonly #authority = new RepeatedMember(',"authority":', ',"protocol":"')
  readonly #userAgent = new RepeatedMember(',"userAgent":')
  readonly #source = new SourceMember()
  readonly #listener = new NamedMember("listener")
  readonly #route = new NamedMember("route")
  readonly #service = new NamedMember("service")
  readonly #upstream = new NamedMember("upstream")
  #second = Number.NaN
  #secondText = ""
  #millisecond = Number.NaN
  #text = ""

  /** Fields of heads that are shown beside the usual ones. */
  constructor(request: readonly ShownField[] = NOTHING, response: readonly ShownField[] = NOTHING) {
    this.#request = request
    this.#response = response
  }

  // The beginning of a line, with its time.
  #time(time: number): string {
    const ms = Math.floor(time)
    if (ms === this.#millisecond) return this.#text
    const second = Math.floor(ms / 1000)
    if (second !== this.#second) {
      const date = new Date(second * 1000)
      if (Number.isNaN(date.getTime())) return EPOCH
      this.#secondText = BEGINNING + date.toISOString().slice(0, -4)
      this.#second = second
    }
    const rest = ms - second * 1000
    this.#millisecond = ms
    this.#text = `${this.#secondText}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}Z"`
    return this.#text
  }

  /** The line of an exchange, with its newline. Fields that have no value are left out, but for the main ones. */
  line(entry: AccessEntry): string {
    const { flag, flagDetails, grpcStatus: code, timeToFirstByte, security: tls, requestId, userAgent } = entry
    let line = `${this.#time(entry.startTime)}${this.#method.of(entry.method)}${jsonText(entry.path, MAX_PATH)}${this.#authority.of(entry.authority)}${entry.protocol}","status":${entry.status}`
    if (code >= 0) line += `,"grpcStatus":${grpcStatus(code)}`
    if (flag !== "") line += `,"flag":${jsonText(flag, MAX_TEXT)}`
    if (flagDetails !== "") line += `,"flagDetails":${jsonText(flagDetails, MAX_TEXT)}`
    line += `,"durationMs":${millisecondsText(entry.duration)}`
    if (timeToFirstByte >= 0) line += `,"ttfbMs":${millisecondsText(timeToFirstByte)}`
    line += `,"requestBytes":${entry.requestBytes},"responseBytes":${entry.responseBytes}${this.#listener.of(entry.listener)}${this.#route.of(entry.route)}${this.#service.of(entry.service)}${this.#upstream.of(entry.upstream)}${this.#source.of(entry.sourceAddress, entry.sourcePort)}`
    if (tls !== null) line += security(tls)
    if (requestId !== "") line += `,"requestId":${jsonText(requestId, MAX_TEXT)}`
    if (userAgent !== "") line += this.#userAgent.of(userAgent)
    if (this.#request.length > 0) line += noted("requestHeaders", this.#request, entry.requestFields)
    if (this.#response.length > 0) line += noted("responseHeaders", this.#response, entry.responseFields)
    return `${line}}\n`
  }

  /** The line of a TCP connection, with its newline. */
  connection(entry: TcpAccessEntry): string {
    let line = `${this.#time(entry.startTime)},"protocol":"TCP"`
    if (entry.flag !== "") line += `,"flag":${jsonText(entry.flag, MAX_TEXT)}`
    if (entry.flagDetails !== "") line += `,"flagDetails":${jsonText(entry.flagDetails, MAX_TEXT)}`
    line += `,"durationMs":${millisecondsText(entry.duration)}`
    if (entry.connectTime >= 0) line += `,"connectMs":${millisecondsText(entry.connectTime)}`
    line += `,"receivedBytes":${entry.receivedBytes},"sentBytes":${entry.sentBytes}${this.#listener.of(entry.listener)}`
    if (entry.requestedServerName !== "") line += `,"serverName":${jsonText(entry.requestedServerName, MAX_TEXT)}`
    line += this.#service.of(entry.service) + this.#upstream.of(entry.upstream)
    if (entry.requestId !== "") line += `,"requestId":${jsonText(entry.requestId, MAX_TEXT)}`
    line += this.#source.of(entry.sourceAddress, entry.sourcePort)
    return `${line}${entry.security === null ? "" : security(entry.security)}}\n`
  }
}
