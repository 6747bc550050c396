// Rules for the parts of a message that configuration names: field names and values, hosts, paths, methods. Values come out
// spelled as requests are when they are matched; what could never match or would break framing is refused with the remedy.

import { isIP } from "node:net"
import { domainToASCII } from "node:url"
import { isDnsName, quote, Wrong } from "./units.ts"

// Twins of http/fields.ts, which this folder may not import; ASCII only, for a text's octets depend on its encoding.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/i
const VALUE = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/

/** Fields the codec owns: a message's framing and its connection. With them, what to use instead. */
const OWNED: ReadonlyMap<string, string> = new Map([
  ["connection", "it belongs to one connection and is written by Sluice; leave it out"],
  ["content-length", "it frames the body and is written by Sluice; leave it out"],
  ["host", "it says which host is asked; use rewrite: { host: NAME }"],
  ["keep-alive", "it belongs to one connection; use the listener's timeouts.idle"],
  ["proxy-connection", "it belongs to one connection and is never forwarded; leave it out"],
  ["te", "it belongs to one connection and is written by Sluice; leave it out"],
  ["trailer", "it announces the message's own trailers; leave it out"],
  ["transfer-encoding", "it frames the body and is written by Sluice; leave it out"],
  ["upgrade", "it belongs to one connection; upgrades pass through without it"],
])

/** A field name, lower-cased; `use` says what for. */
export function parseFieldName(text: string, use: "edit" | "match"): string | Wrong {
  const name = text.toLowerCase()
  if (name === ":authority" || (use === "match" && name === "host"))
    return new Wrong(`${quote(text)} is not matched as a header; ${use === "match" ? "use hosts" : "use rewrite: { host: NAME }"}`)
  if (name === ":path" || name === ":method")
    return new Wrong(`${quote(text)} is not a header; use ${use === "match" ? `match: { ${name.slice(1)}: ... }` : "rewrite"}`)
  if (name.length > 256 || !TOKEN.test(name))
    return new Wrong(`${quote(text)} is not a header name; use letters, digits and -, such as x-user`)
  const owned = OWNED.get(name)
  if (owned !== undefined)
    return new Wrong(
      `${quote(text)} can't be ${use === "edit" ? "edited" : "matched"}: ${use === "edit" ? owned : "Sluice takes it off the request before routing; leave it out"}`,
    )
  return name
}

/** What is wrong with a field value, or undefined. */
export function wrongFieldValue(text: string): Wrong | undefined {
  if (text.length > 8192) return new Wrong("is longer than 8192 characters; write a shorter value")
  if (VALUE.test(text)) return undefined
  if (text.trim() !== text) return new Wrong(`${quote(text)} has white space at an end, which HTTP strips; write ${quote(text.trim())}`)
  if (/[^\t\x20-\x7e]/.test(text) && !/[\x00-\x1f\x7f]/.test(text))
    return new Wrong(`${quote(text)} has characters outside ASCII; write them percent-encoded`)
  return new Wrong(`${quote(text)} has control characters, which would split the message; take them out`)
}

/** A method token, upper-cased. */
export function parseMethod(text: string): string | Wrong {
  if (text.length > 64 || !TOKEN.test(text)) return new Wrong(`${quote(text)} is not a method; write one such as GET or POST`)
  return text.toUpperCase()
}

/** A host a route serves: exact or `*.suffix`, lower-cased; IPv6 in brackets. */
export function parseHost(text: string, wildcard: boolean): string | Wrong {
  const host = text.toLowerCase()
  if (host === "*" && wildcard) return new Wrong('"*" is every host, which is the default; leave hosts out')
  if (host.includes("://") || host.includes("/"))
    return new Wrong(`${quote(text)} is not a host; write only the name, such as shop.example.com`)
  if (host.startsWith("[") && host.endsWith("]") && isIP(host.slice(1, -1)) === 6) return host
  if (isIP(host) === 6) return new Wrong(`${quote(text)} needs brackets; write "[${host}]"`)
  const port = /^(.*):(\d*)$/.exec(host)
  if (port !== null) return new Wrong(`${quote(text)} has a port; hosts are without one, write ${quote(port[1])}`)
  if (host.length > 1 && host.endsWith(".")) return new Wrong(`${quote(text)} ends with a dot; write ${quote(host.slice(0, -1))}`)
  const name = wildcard && host.startsWith("*.") ? host.slice(2) : host
  if (isIP(name) === 4 && name === host) return host
  if (isDnsName(name)) return host
  if (name.includes("*"))
    return new Wrong(
      `${quote(text)} is not a host; ${wildcard ? 'a wildcard is a whole first label, such as "*.example.com"' : "a wildcard can't be used here, write one name"}`,
    )
  if (/[^\x00-\x7f]/.test(name)) {
    const ascii = domainToASCII(name)
    if (ascii !== "")
      return new Wrong(
        `${quote(text)} has characters outside ASCII; write it as requests do, ${quote(host.startsWith("*.") && wildcard ? `*.${ascii}` : ascii)}`,
      )
  }
  return new Wrong(`${quote(text)} is not a host; write a name such as shop.example.com`)
}

/** An authority to send or redirect to: a host with an optional port. */
export function parseAuthority(text: string): string | Wrong {
  const port = /^(.*[^:]):(\d{1,5})$/.exec(text)
  if (port === null || text.endsWith("]")) return parseHost(text, false)
  const host = parseHost(port[1], false)
  if (host instanceof Wrong) return host
  const number = Number(port[2])
  if (number === 0 || number > 65535) return new Wrong(`${quote(port[2])} is not a port; use a number from 1 to 65535`)
  return `${host}:${number}`
}

const UNRESERVED = /[A-Za-z0-9\-._~]/
// pchar of RFC 3986, "%" and "/", with what some clients send unescaped beside it.
const PATH = /^[!"$%&'()*+,\-./0-9:;<=>@A-Z[\]^_`a-z|~]*$/
const ESCAPED = /["<>[\]^`|]/
/** A dot segment for whoever takes a kept %2F or %5C for a separator, or cuts parameters off: requests with one are refused. */
const HIDDEN_DOTS = /(?:^|%2F|%5C)\.\.?(?:$|;|%2F|%5C)/

/** A path, spelled as a request's is when it is matched: unreserved escapes decoded, no dot segments. */
export function parsePath(text: string, kind: "exact" | "prefix" | "replacement"): string | Wrong {
  if (!text.startsWith("/")) {
    if (text === "*" || text === "") return new Wrong(`${quote(text)} is not a path; write / for every path`)
    return new Wrong(`${quote(text)} does not start with a slash; write ${quote(`/${text}`)}`)
  }
  if (text.length > 4096) return new Wrong("is longer than 4096 characters; write a shorter path")
  const cut = text.search(/[?#]/)
  if (cut !== -1)
    return new Wrong(
      `${quote(text)} has a ${text[cut] === "?" ? "query" : "fragment"}; write only the path, ${quote(text.slice(0, cut))}${text[cut] === "?" && kind !== "replacement" ? ", and match the query with query" : ""}`,
    )
  if (text.includes("\\")) return new Wrong(`${quote(text)} has a backslash; write / or, for a regular expression, { regex: ... }`)
  if (/[{}]/.test(text)) {
    const pattern = text.replace(/\{[^{}]*\}/g, "[^/]+")
    return new Wrong(`${quote(text)} has braces, which are no placeholder here; write { regex: ${quote(pattern)} }`)
  }
  if (!PATH.test(text)) {
    let encoded = ""
    try {
      encoded = encodeURI(text)
    } catch {
      // A lone surrogate has no encoding.
    }
    return new Wrong(
      `${quote(text)} has characters that paths carry percent-encoded${encoded === "" ? "; take them out" : `; write ${quote(encoded)}`}`,
    )
  }
  if (kind !== "replacement" && text.length > 1 && text.endsWith("/*")) {
    const rest = text.slice(0, -2)
    return new Wrong(
      `${quote(text)}: * is not a wildcard; a prefix matches all below it, write ${kind === "prefix" ? quote(rest === "" ? "/" : rest) : `{ prefix: ${quote(rest === "" ? "/" : rest)} }`}`,
    )
  }
  let path = ""
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== "%") {
      path += ESCAPED.test(text[i]) ? escapeOf(text.charCodeAt(i)) : text[i]
      continue
    }
    const hex = text.slice(i + 1, i + 3)
    if (!/^[0-9a-f]{2}$/i.test(hex)) return new Wrong(`${quote(text)} has a % that begins no escape; write %25 for the character itself`)
    const code = Number.parseInt(hex, 16)
    if (code < 0x20 || code === 0x7f)
      return new Wrong(`${quote(text)} has an encoded control character, which no request may carry; take it out`)
    const char = String.fromCharCode(code)
    // Only unreserved characters mean the same with and without their escape (RFC 3986 §2.3).
    path += UNRESERVED.test(char) ? char : escapeOf(code)
    i += 2
  }
  const segments = path.split("/")
  if (segments.includes(".") || segments.includes("..")) {
    return new Wrong(
      `${quote(text)} has dot segments, which are resolved before a request is matched; write ${quote(withoutDots(segments))}`,
    )
  }
  if (segments.some((segment) => HIDDEN_DOTS.test(segment))) {
    return new Wrong(
      `${quote(text)} has dots beside an encoded slash or a semicolon, which no request may carry; write the path without them`,
    )
  }
  return kind === "prefix" && path.length > 1 && path.endsWith("/") ? path.replace(/\/+$/, "") || "/" : path
}

function escapeOf(code: number): string {
  return `%${code.toString(16).toUpperCase().padStart(2, "0")}`
}

function withoutDots(segments: readonly string[]): string {
  const kept: string[] = []
  for (const segment of segments) {
    if (segment === "..") {
      if (kept.length > 1) kept.pop()
    } else if (segment !== ".") kept.push(segment)
  }
  const path = kept.join("/")
  return path.startsWith("/") ? path : `/${path}`
}
