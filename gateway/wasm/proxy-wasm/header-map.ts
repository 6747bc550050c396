// Request and response heads as Proxy-Wasm header maps: pseudo-headers first, then the fields. What a filter writes is
// checked here, so that no edit can split a message, change its framing or reach what belongs to a connection.

import { hostOf } from "../../http/authority.ts"
import { type Fields, isFieldValue, isToken } from "../../http/fields.ts"
import type { RequestHead, ResponseHead } from "../../http/message.ts"
import { normalizePath, type PathPolicy } from "../../http/path.ts"
import { isTrailerField } from "../../http/trailers.ts"
import {
  AUTHORITY,
  CONNECTION_FIELD,
  CONTENT_LENGTH,
  FIELD,
  type HeaderName,
  HOST,
  headerName,
  INVALID,
  METHOD,
  PATH,
  SCHEME,
  STATUS,
} from "./header-names.ts"

/** Longest value a filter may write, octets. */
const MAX_VALUE = 65_536
const MAX_TARGET = 65_536

/** Spellings in a path that a filter writes: the strict default, whatever the listener lets in. */
const pathPolicy: PathPolicy = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: true }

// No controls, no space, no fragment: what the codec accepts of a client.
const TARGET = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/

function combined(fields: Fields, name: HeaderName): string | undefined {
  return name.separator === "" ? fields.get(name.name) : fields.getCombined(name.name, name.separator)
}

/** Value of a request header; repeated fields are joined as RFC 9110 §5.3 has it, so that none can hide behind another. */
export function getRequestHeader(head: RequestHead, name: HeaderName): string | undefined {
  switch (name.kind) {
    case FIELD:
      return combined(head.fields, name)
    case METHOD:
      return head.method
    case PATH:
      return pathOf(head)
    case AUTHORITY:
    case HOST:
      return head.authority
    case SCHEME:
      return head.scheme
    case CONTENT_LENGTH:
      return head.fields.get(name.name) ?? (head.body === "length" ? String(head.contentLength) : undefined)
    default:
      return undefined
  }
}

export function getResponseHeader(head: ResponseHead, name: HeaderName): string | undefined {
  switch (name.kind) {
    case FIELD:
      return combined(head.fields, name)
    case STATUS:
      return String(head.status)
    case CONTENT_LENGTH:
      return head.fields.get(name.name) ?? (head.body === "length" ? String(head.contentLength) : undefined)
    default:
      return undefined
  }
}

/** What `:path` reads as: the normal path and the query. */
export function pathOf(head: RequestHead): string {
  return head.query === undefined ? head.path : `${head.path}?${head.query}`
}

/** Replaces a request header or pseudo-header; whether it was allowed. */
export function setRequestHeader(head: RequestHead, name: HeaderName, value: string): boolean {
  switch (name.kind) {
    case FIELD:
      if (!isValue(value)) return false
      head.fields.set(name.name, value)
      return true
    case METHOD:
      // CONNECT would turn the exchange into a tunnel.
      if (!isToken(value) || value.length > 64 || value === "CONNECT") return false
      head.method = value
      return true
    case PATH:
      return setPath(head, value)
    case AUTHORITY:
      return setAuthority(head, value)
    case SCHEME:
      if (value !== "http" && value !== "https") return false
      head.scheme = value
      return true
    case CONTENT_LENGTH:
      return value === getRequestHeader(head, name)
    default:
      return false
  }
}

export function setResponseHeader(head: ResponseHead, name: HeaderName, value: string): boolean {
  switch (name.kind) {
    case FIELD:
      if (!isValue(value)) return false
      head.fields.set(name.name, value)
      return true
    case STATUS: {
      if (!/^[2-9][0-9]{2}$/.test(value)) return false
      if (String(head.status) !== value) {
        head.status = Number(value)
        head.reason = ""
      }
      return true
    }
    case CONTENT_LENGTH:
      return value === getResponseHeader(head, name)
    default:
      return false
  }
}

/** Appends a field, never folding it into another; pseudo-headers stand once and can't be added to. */
export function addHeader(head: RequestHead | ResponseHead, name: HeaderName, value: string): boolean {
  if (name.kind !== FIELD || !isValue(value)) return false
  head.fields.add(name.name, value)
  return true
}

/** Removes all fields of that name. False for what a message can't do without and what the codecs own. */
export function removeHeader(head: RequestHead | ResponseHead, name: HeaderName): boolean {
  if (name.kind === FIELD || name.kind === CONTENT_LENGTH) {
    head.fields.remove(name.name)
    return true
  }
  // Connection fields are never visible to a filter, so already absent; and nothing has an invalid name.
  return name.kind === CONNECTION_FIELD || name.kind === INVALID
}

/** Name, value … of a whole request, pseudo-headers first. */
export function requestPairs(head: RequestHead): string[] {
  return [":method", head.method, ":path", pathOf(head), ":authority", head.authority, ":scheme", head.scheme, ...head.fields.entries()]
}

export function responsePairs(head: ResponseHead): string[] {
  return [":status", String(head.status), ...head.fields.entries()]
}

/** Replaces all fields. Pseudo-headers that are named change, the others stay. Nothing changes when a pair is refused. */
export function setRequestPairs(head: RequestHead, flat: readonly string[]): boolean {
  const scratch = pseudoCopy(head)
  const names = checkPairs(
    flat,
    (name, value) => setRequestHeader(scratch, name, value),
    (name) => getRequestHeader(head, name),
  )
  if (names === null) return false
  head.method = scratch.method
  head.target = scratch.target
  head.path = scratch.path
  head.query = scratch.query
  head.authority = scratch.authority
  head.host = scratch.host
  head.scheme = scratch.scheme
  head.lineStart = scratch.lineStart
  replaceFields(head.fields, names, flat)
  return true
}

export function setResponsePairs(head: ResponseHead, flat: readonly string[]): boolean {
  let status: string | null = null
  const names = checkPairs(
    flat,
    (name, value) => {
      if (name.kind !== STATUS || !/^[2-9][0-9]{2}$/.test(value)) return false
      status = value
      return true
    },
    (name) => getResponseHeader(head, name),
  )
  if (names === null) return false
  if (status !== null && status !== String(head.status)) {
    head.status = Number(status)
    head.reason = ""
  }
  replaceFields(head.fields, names, flat)
  return true
}

export function getTrailer(trailers: Fields, name: HeaderName): string | undefined {
  return combined(trailers, name)
}

/** Whether a filter may write this field into trailers: what frames, routes or authenticates a message has no place there. */
export function isTrailer(name: HeaderName, value: string): boolean {
  return name.kind === FIELD && isTrailerField(name.name) && isValue(value)
}

/** The names of `flat`, in its order; null when a pair may not stand in trailers. */
export function trailerNames(flat: readonly string[]): string[] | null {
  const names: string[] = []
  for (let i = 0; i < flat.length; i += 2) {
    const name = headerName(flat[i])
    if (name === null || !isTrailer(name, flat[i + 1])) return null
    names.push(name.name)
  }
  return names
}

/** Replaces all trailers; `names` are those of {@link trailerNames}. */
export function setTrailerPairs(trailers: Fields, names: readonly string[], flat: readonly string[]): void {
  replaceFields(trailers, names, flat)
}

/** Fields of a local reply as the exchange wants them: valid, lower case. Null when one is not allowed. */
export function replyHeaders(flat: readonly string[], bodyLength: number): string[] | null {
  const headers: string[] = []
  for (let i = 0; i < flat.length; i += 2) {
    const name = headerName(flat[i])
    const value = flat[i + 1]
    if (name === null || !isValue(value)) return null
    if (name.kind === FIELD) headers.push(name.name, value)
    else if (name.kind !== CONTENT_LENGTH || value !== String(bodyLength)) return null
  }
  return headers
}

function isValue(value: string): boolean {
  return value.length <= MAX_VALUE && isFieldValue(value)
}

function setPath(head: RequestHead, value: string): boolean {
  if (value === pathOf(head)) return true
  if (value.length > MAX_TARGET || !TARGET.test(value)) return false
  const mark = value.indexOf("?")
  const path = normalizePath(mark === -1 ? value : value.slice(0, mark), pathPolicy)
  if (path === null) return false
  head.path = path
  head.query = mark === -1 ? undefined : value.slice(mark + 1)
  head.target = pathOf(head)
  head.lineStart = -1
  return true
}

function setAuthority(head: RequestHead, value: string): boolean {
  const host = hostOf(value)
  if (host === null) return false
  head.authority = value
  head.host = host
  head.lineStart = -1
  return true
}

function pseudoCopy(head: RequestHead): RequestHead {
  return { ...head, fields: head.fields } as RequestHead
}

/** The names of `flat`, in its order (null = a pseudo-header, already handed to `pseudo`); null when a pair is refused. */
function checkPairs(
  flat: readonly string[],
  pseudo: (name: HeaderName, value: string) => boolean,
  current: (name: HeaderName) => string | undefined,
): (string | null)[] | null {
  const names: (string | null)[] = []
  for (let i = 0; i < flat.length; i += 2) {
    const name = headerName(flat[i])
    const value = flat[i + 1]
    if (name === null) return null
    if (name.kind === FIELD) {
      if (!isValue(value)) return null
      names.push(name.name)
    } else if (name.kind === CONTENT_LENGTH) {
      // Twice, even the same, is what strict peers refuse and lax ones read as they like (RFC 9112 §6.3).
      if (value !== current(name) || names.includes(name.name)) return null
      names.push(name.name)
    } else {
      if (!pseudo(name, value)) return null
      names.push(null)
    }
  }
  return names
}

function replaceFields(fields: Fields, names: readonly (string | null)[], flat: readonly string[]): void {
  fields.clear()
  for (let i = 0; i < names.length; i++) {
    const name = names[i]
    if (name !== null) fields.add(name, flat[i * 2 + 1])
  }
}
