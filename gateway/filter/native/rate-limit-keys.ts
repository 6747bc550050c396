// What a rate limit tells requests apart by, read out of a request: from outside, and never trusted to be short or valid.

import { Buffer } from "node:buffer"
import type { RateLimitKeyConfig } from "../../config/rate-limit-model.ts"
import { clientNetwork } from "../../http/client-network.ts"
import { cookieHeader, cookieValue } from "../../http/cookies.ts"
import type { RequestHead } from "../../http/message.ts"
import type { StreamInfo } from "../filter.ts"

/** Where filters that have verified a JSON Web Token leave its claims: a JSON object, UTF-8. */
export const CLAIMS_PROPERTY = "wasm.jwt_claims"
/** Octets of claims that are looked at. */
const MAX_CLAIMS = 16_384

/** What filters of the exchange have stored. */
export interface StoredProperty {
  property(path: string): Uint8Array | undefined
}

export class RateLimitKeys {
  readonly #keys: readonly RateLimitKeyConfig[]
  /** Of the last request that was read, in the order of the configuration; "" = it has none. */
  readonly values: string[]

  constructor(keys: readonly RateLimitKeyConfig[]) {
    this.#keys = keys
    this.values = keys.map(() => "")
  }

  /** Reads a request; whether it has all of them. */
  read(info: StreamInfo, head: RequestHead, stored: StoredProperty | null): boolean {
    const keys = this.#keys
    let complete = true
    for (let i = 0; i < keys.length; i++) {
      const value = this.#value(keys[i], info, head, stored)
      this.values[i] = value
      if (value === "") complete = false
    }
    return complete
  }

  #value(key: RateLimitKeyConfig, info: StreamInfo, head: RequestHead, stored: StoredProperty | null): string {
    switch (key.kind) {
      case "source":
        return clientNetwork(info.sourceAddress)
      case "identity":
        return info.security?.peerIdentity ?? ""
      case "host":
        return head.host
      case "method":
        return head.method
      case "path":
        return head.path
      case "segment":
        return segment(head.path, key.index)
      case "header":
        // All of them: one sent twice must not make another client of its sender, nor hide behind the first.
        return head.fields.getCombined(key.name, ",") ?? ""
      case "cookie":
        return cookieValue(cookieHeader(head.fields) ?? "", key.name) ?? ""
      case "query":
        return (head.query === undefined ? null : new URLSearchParams(head.query).get(key.name)) ?? ""
      case "claim":
        return claim(stored?.property(CLAIMS_PROPERTY), key.name)
    }
  }
}

/** Segment `index`, from 1, of a normalised path; "" = it is shorter. */
export function segment(path: string, index: number): string {
  let start = 1
  for (let i = 1; i < index; i++) {
    const slash = path.indexOf("/", start)
    if (slash === -1) return ""
    start = slash + 1
  }
  const end = path.indexOf("/", start)
  return end === -1 ? path.slice(start) : path.slice(start, end)
}

/** A claim by its name, or else by its path; what is no text as JSON, and "" when it isn't there. */
export function claim(json: Uint8Array | undefined, name: string): string {
  if (json === undefined || json.length > MAX_CLAIMS) return ""
  let claims: unknown
  try {
    claims = JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8"))
  } catch {
    return ""
  }
  let value = member(claims, name)
  if (value === undefined && name.includes(".")) value = name.split(".").reduce(member, claims)
  if (typeof value === "string") return value
  return value === undefined || value === null ? "" : JSON.stringify(value)
}

function member(object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null || !Object.hasOwn(object, name)) return undefined
  return (object as Readonly<Record<string, unknown>>)[name]
}
