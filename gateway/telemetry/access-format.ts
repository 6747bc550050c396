// One exchange as one line of JSON, with the usual fields. What came from the network arrives here as latin1 text and leaves as
// valid JSON without a control character in it.

import { REDACTED } from "../config/secrets.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { OTHER_STATUS } from "../http/grpc-status.ts"
import type { AccessEntry, TcpAccessEntry } from "./access-entry.ts"
import { MillisecondsMember, NamedMember, OctetsMember, RepeatedMember } from "./access-member.ts"
import { grpcStatusText, jsonText, MAX_PATH, MAX_TEXT, milliseconds, plainText } from "./access-text.ts"
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

function failure(code: number, flag: string, details: string): string {
  const status = code < 0 ? "" : `,"grpcStatus":${grpcStatus(code)}`
  const short = flag === "" ? "" : `,"flag":${jsonText(flag, MAX_TEXT)}`
  return `${status}${short}${details === "" ? "" : `,"flagDetails":${jsonText(details, MAX_TEXT)}`}`
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

/** The beginning of a line, with its time. Keeps that of the current millisecond: making a date costs more than the rest of a line. */
class Beginning {
  #second = Number.NaN
  #secondText = ""
  #millisecond = Number.NaN
  #text = ""

  of(time: number): string {
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
}

/** Makes lines. Keeps the texts of what lines have in common, since making them anew would cost more than the rest of a line. */
export class AccessFormat implements LineFormat {
  readonly #request: readonly ShownField[]
  readonly #response: readonly ShownField[]
  readonly #beginning = new Beginning()
  readonly #authority = new RepeatedMember("authority")
  readonly #userAgent = new RepeatedMember("userAgent")
  readonly #duration = new MillisecondsMember("durationMs")
  readonly #firstByte = new MillisecondsMember("ttfbMs")
  readonly #requestBytes = new OctetsMember("requestBytes")
  readonly #responseBytes = new OctetsMember("responseBytes")
  readonly #listener = new NamedMember("listener")
  readonly #route = new NamedMember("route")
  readonly #service = new NamedMember("service")
  readonly #upstream = new NamedMember("upstream")
  // What the last line had, and the text that came of it.
  #time = ""
  #method = ""
  #start = ""
  #authorityText = ""
  #protocol = ""
  #status = -1
  #middle = ""
  #listenerName = ""
  #routeName = ""
  #serviceName = ""
  #place = ""
  #address = ""
  #client = ""

  /** Fields of heads that are shown beside the usual ones. */
  constructor(request: readonly ShownField[] = NOTHING, response: readonly ShownField[] = NOTHING) {
    this.#request = request
    this.#response = response
  }

  // Up to the path's opening quote.
  #startOf(time: string, method: string): string {
    if (time !== this.#time || method !== this.#method) {
      this.#time = time
      this.#method = method
      this.#start = `${time},"method":"${plainText(method, MAX_TEXT)}","path":"`
    }
    return this.#start
  }

  // From the path's closing quote.
  #middleOf(authority: string, protocol: string, status: number): string {
    if (status !== this.#status || protocol !== this.#protocol || authority !== this.#authorityText) {
      this.#authorityText = authority
      this.#protocol = protocol
      this.#status = status
      this.#middle = `"${this.#authority.of(authority)},"protocol":"${plainText(protocol, MAX_TEXT)}","status":${status}`
    }
    return this.#middle
  }

  #placeOf(listener: string, route: string, service: string): string {
    if (route !== this.#routeName || service !== this.#serviceName || listener !== this.#listenerName) {
      this.#listenerName = listener
      this.#routeName = route
      this.#serviceName = service
      this.#place = this.#listener.of(listener) + this.#route.of(route) + this.#service.of(service)
    }
    return this.#place
  }

  // Its port is another one with every connection.
  #clientOf(address: string): string {
    if (address !== this.#address || this.#client === "") {
      this.#address = address
      this.#client = `,"source":"${plainText(address.includes(":") ? `[${address}]` : address, MAX_TEXT)}:`
    }
    return this.#client
  }

  /** The line of an exchange, with its newline. Fields that have no value are left out, but for the main ones. */
  line(entry: AccessEntry): string {
    const { flag, flagDetails, grpcStatus: code, timeToFirstByte, security: tls, requestId, userAgent } = entry
    const begun = `${this.#startOf(this.#beginning.of(entry.startTime), entry.method)}${plainText(entry.path, MAX_PATH)}${this.#middleOf(entry.authority, entry.protocol, entry.status)}`
    const failed = code < 0 && flag === "" && flagDetails === "" ? "" : failure(code, flag, flagDetails)
    const took = `${this.#duration.of(entry.duration)}${timeToFirstByte < 0 ? "" : this.#firstByte.of(timeToFirstByte)}`
    const carried = `${this.#requestBytes.of(entry.requestBytes)}${this.#responseBytes.of(entry.responseBytes)}`
    const gone = `${this.#placeOf(entry.listener, entry.route, entry.service)}${this.#upstream.of(entry.upstream)}`
    const came = `${this.#clientOf(entry.sourceAddress)}${entry.sourcePort}"${tls === null ? "" : security(tls)}`
    const by = requestId === "" ? "" : `,"requestId":"${plainText(requestId, MAX_TEXT)}"`
    let line = `${begun}${failed}${took}${carried}${gone}${came}${by}${userAgent === "" ? "" : this.#userAgent.of(userAgent)}`
    if (this.#request.length > 0) line += noted("requestHeaders", this.#request, entry.requestFields)
    if (this.#response.length > 0) line += noted("responseHeaders", this.#response, entry.responseFields)
    return `${line}}\n`
  }

  /** The line of a TCP connection, with its newline. */
  connection(entry: TcpAccessEntry): string {
    let line = `${this.#beginning.of(entry.startTime)},"protocol":"TCP"`
    if (entry.flag !== "") line += `,"flag":${jsonText(entry.flag, MAX_TEXT)}`
    if (entry.flagDetails !== "") line += `,"flagDetails":${jsonText(entry.flagDetails, MAX_TEXT)}`
    line += this.#duration.of(entry.duration)
    if (entry.connectTime >= 0) line += `,"connectMs":${milliseconds(entry.connectTime)}`
    line += `,"receivedBytes":${entry.receivedBytes},"sentBytes":${entry.sentBytes}${this.#listener.of(entry.listener)}`
    if (entry.requestedServerName !== "") line += `,"serverName":${jsonText(entry.requestedServerName, MAX_TEXT)}`
    line += this.#service.of(entry.service) + this.#upstream.of(entry.upstream)
    if (entry.requestId !== "") line += `,"requestId":${jsonText(entry.requestId, MAX_TEXT)}`
    line += `${this.#clientOf(entry.sourceAddress)}${entry.sourcePort}"`
    return `${line}${entry.security === null ? "" : security(entry.security)}}\n`
  }
}
