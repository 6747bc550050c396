// Texts with places to be filled in from the exchange: "{header:x-user|anonymous} from {address}".
import { Headers, isoDate, now, properties, Request, Response } from "sluice/sdk"

/** Longest value that is made, in characters; the rest is cut off. */
const MAX_VALUE = 4096

const PLAIN = ["method", "path", "query", "target", "host", "scheme", "address", "id", "route", "service", "identity", "now"]
const NAMED = ["header", "query", "cookie", "property"]

/** The exchange a text is made for. */
export class Context {
  constructor(
    readonly request: Request,
    /** Null while there is none. */
    readonly response: Response | null,
  ) {}

  /** Headers of the message at hand. */
  get headers(): Headers {
    const response = this.response
    return response === null ? this.request.headers : response.headers
  }
}

/** A literal, or a place: what, of what name, and what stands for nothing. */
class Part {
  constructor(
    readonly kind: string,
    readonly name: string,
    readonly fallback: string,
  ) {}
}

export class Template {
  /** Why the text can't be used; "" if it can. */
  error: string = ""
  private parts: Part[] = []

  /** @param response whether there is a response to speak of. `{{` and `}}` stand for the braces themselves. */
  constructor(text: string, response: bool) {
    this.read(text, response)
  }

  private read(text: string, response: bool): void {
    let literal = ""
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code < 0x20 || code == 0x7f) this.error = "must be one line"
      const twice = i + 1 < text.length && text.charCodeAt(i + 1) == code
      if ((code == 0x7b || code == 0x7d) && twice) {
        literal += text.charAt(i++)
      } else if (code == 0x7d) {
        this.error = "a } closes nothing; write }} for the brace itself"
      } else if (code == 0x7b) {
        const end = text.indexOf("}", i)
        if (end < 0) {
          this.error = "a { is not closed; write {{ for the brace itself"
          return
        }
        if (literal.length > 0) this.parts.push(new Part("", literal, ""))
        literal = ""
        this.place(text.substring(i + 1, end), response)
        i = end
      } else {
        literal += text.charAt(i)
      }
    }
    if (literal.length > 0) this.parts.push(new Part("", literal, ""))
  }

  private place(text: string, response: bool): void {
    const bar = text.indexOf("|")
    const what = bar < 0 ? text : text.substring(0, bar)
    const colon = what.indexOf(":")
    const kind = colon < 0 ? what : what.substring(0, colon)
    const name = colon < 0 ? "" : what.substring(colon + 1)
    const ofResponse = kind == "response" ? isHeaderName(name) : what == "status"
    const known = ofResponse || (colon < 0 ? PLAIN.includes(kind) : NAMED.includes(kind) && name.length > 0)
    if (!known || (kind == "header" && !isHeaderName(name))) this.error = "{" + text + "} stands for nothing that is known"
    else if (ofResponse && !response) this.error = "{" + text + "} is known in responses only"
    this.parts.push(new Part(kind, name, bar < 0 ? "" : text.substring(bar + 1)))
  }

  /** The value, in one line; "" if a place has nothing to be filled in with. */
  render(context: Context): string {
    const parts = this.parts
    if (parts.length == 1 && parts[0].kind.length == 0) return parts[0].name
    let text = ""
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]
      let value: string | null = part.name
      if (part.kind.length > 0) {
        value = fill(part.kind, part.name, context)
        if (value === null || value.length == 0) value = part.fallback
        if (value.length == 0) return ""
      }
      text += value.length > MAX_VALUE ? value.substring(0, MAX_VALUE) : value
    }
    return oneLine(text)
  }
}

function fill(kind: string, name: string, context: Context): string | null {
  const request = context.request
  const response = context.response
  if (kind == "header") return request.headers.get(name)
  if (kind == "response") return response === null ? null : response.headers.get(name)
  if (kind == "status") return response === null ? null : response.status.toString()
  if (kind == "cookie") return request.cookie(name)
  if (kind == "property") return properties.text(name)
  if (kind == "path") return request.path
  if (kind == "target") return request.target
  if (kind == "query") return name.length > 0 ? request.query.get(name) : properties.text("request.query")
  if (kind == "method") return request.method
  if (kind == "host") return request.host
  if (kind == "scheme") return request.scheme
  if (kind == "address") return request.peer.address
  if (kind == "identity") return request.peer.identity
  if (kind == "route") return request.route.name
  if (kind == "service") return request.route.service
  return kind == "id" ? request.id : isoDate(now())
}

/** A decoded query may hold line breaks: the gateway would refuse the header, and leave the one it was to replace. */
function oneLine(text: string): string {
  const length = min(text.length, MAX_VALUE)
  let result = ""
  let start = 0
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x20 && code != 0x7f) continue
    result += text.substring(start, i) + " "
    start = i + 1
  }
  return (result + text.substring(start, length)).trim()
}

/** RFC 9110 §5.6.2. */
export function isHeaderName(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (<u32>((code | 0x20) - 0x61) >= 26 && <u32>(code - 0x30) >= 10 && !"!#$%&'*+-.^_`|~".includes(text.charAt(i))) return false
  }
  return text.length > 0
}
