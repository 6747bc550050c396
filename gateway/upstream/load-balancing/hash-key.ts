// What a service's requests are hashed by, compiled when a snapshot is made: a header, a cookie, a query parameter or the client's
// address becomes a 32-bit number. It reads the request and changes nothing.

import { Buffer } from "node:buffer"
import type { AffinityCookieConfig, HashConfig } from "../../config/balancing-model.ts"
import { cookieHeader, cookieValue } from "../../http/cookies.ts"
import type { RequestHead } from "../../http/message.ts"
import { hashText } from "../../http/text-hash.ts"
import { headerValue } from "../../router/conditions.ts"
import { QueryReader } from "../../router/query-reader.ts"

/** Whose request it is. */
export interface Client {
  readonly sourceAddress: string
}

/** Of requests that no client has sent. */
export const NOBODY: Client = { sourceAddress: "" }

/** What is hashed is absent. */
export const NO_KEY = -1

export class HashKey {
  /** Given to clients that have none; null: their requests have no key. */
  readonly cookie: AffinityCookie | null
  readonly #kind: HashConfig["kind"]
  /** As it is on the wire, one character an octet. */
  readonly #name: string
  readonly #query = new QueryReader()

  constructor(config: HashConfig) {
    this.#kind = config.kind
    this.#name = "name" in config ? Buffer.from(config.name, "utf8").toString("latin1") : ""
    this.cookie = config.kind === "cookie" && config.generate !== null ? new AffinityCookie(config.name, config.generate) : null
  }

  /** An unsigned 32-bit number, or {@link NO_KEY}. */
  of(head: RequestHead, client: Client): number {
    switch (this.#kind) {
      case "source":
        return this.ofClient(client)
      case "header": {
        const value = headerValue(head.fields, this.#name)
        return value === undefined ? NO_KEY : hashText(value)
      }
      case "query": {
        this.#query.reset(head.query)
        const value = this.#query.get(this.#name)
        return value === undefined ? NO_KEY : hashText(value)
      }
      case "cookie":
        return hashCookie(cookieHeader(head.fields), this.#name)
    }
  }

  /** Of a connection, which has nothing but its client; {@link NO_KEY} where that is not what counts. */
  ofClient({ sourceAddress }: Client): number {
    return this.#kind === "source" && sourceAddress !== "" ? hashText(sourceAddress) : NO_KEY
  }
}

/** A cookie that keeps a client with the endpoint its first request went to. */
export class AffinityCookie {
  readonly #name: string
  readonly #attributes: string

  constructor(name: string, { ttl, path }: AffinityCookieConfig) {
    this.#name = name
    this.#attributes = `; Path=${path}${ttl > 0 ? `; Max-Age=${Math.ceil(ttl / 1000)}` : ""}; HttpOnly; SameSite=Lax`
  }

  /** A value of 64 bits. `random`: [0, 1). It only has to differ from others': it proves nothing. */
  value(random: () => number): string {
    const part = (): string =>
      Math.floor(random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0")
    return part() + part()
  }

  /** The value of the set-cookie field. `secure`: the client came by https. */
  field(value: string, secure: boolean): string {
    return `${this.#name}=${value}${this.#attributes}${secure ? "; Secure" : ""}`
  }
}

function hashCookie(cookies: string | undefined, name: string): number {
  const value = cookies === undefined ? undefined : cookieValue(cookies, name)
  return value === undefined || value === "" ? NO_KEY : hashText(value)
}
