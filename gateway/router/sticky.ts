// Keeps a client with the backend that a weighted split gave it: by a cookie that says which one that was, or by a key of the
// client's, from which the same backend follows every time. Without either there is nothing to go by, and the split draws.

import type { StickyConfig } from "../config/model.ts"
import { cookieHeader, cookieValue } from "../http/cookies.ts"
import type { RequestHead } from "../http/message.ts"
import { hashText } from "../http/text-hash.ts"
import { headerValue, octets } from "./conditions.ts"
import { QueryReader } from "./query-reader.ts"

/** Octets of a key that are hashed. */
const MAX_KEY = 1024

/** A backend as a cookie knows it: nothing of its name shows, and no weight is asked for by it. */
function nameOfBackend(name: string): string {
  const octetsOfName = octets(name)
  return hashText(octetsOfName, 1).toString(16).padStart(8, "0") + hashText(octetsOfName, 2).toString(16).padStart(8, "0")
}

export class StickySplit {
  readonly #config: StickyConfig
  readonly #names: readonly string[]
  readonly #seeds: readonly number[]
  readonly #byName = new Map<string, number>()
  readonly #name: string
  readonly #query = new QueryReader()

  /** `backends`: what tells the split's backends apart, in its order; the same over reloads, and no two the same. */
  constructor(config: StickyConfig, backends: readonly string[]) {
    this.#config = config
    this.#name = octets(config.kind === "cookie" ? config.cookie : config.name)
    this.#names = backends.map(nameOfBackend)
    this.#seeds = backends.map((name) => hashText(octets(name), 3))
    for (const [i, name] of this.#names.entries()) this.#byName.set(name, i)
  }

  /** The backend a client stays with; −1 = it has none, and is to be given one. `source`: its address. */
  pick(head: RequestHead, source: string, weights: readonly number[]): number {
    if (this.#config.kind !== "cookie") return this.#byKey(this.#key(head, source), weights)
    const cookies = cookieHeader(head.fields)
    const value = cookies === undefined ? undefined : cookieValue(cookies, this.#name)
    const index = value === undefined ? undefined : this.#byName.get(value)
    // One that gets nothing any more gets nothing by cookies either.
    return index !== undefined && weights[index] > 0 ? index : -1
  }

  /** The set-cookie that keeps a client with the backend it was just given; "" = none is needed. */
  cookie(index: number, secure: boolean): string {
    const config = this.#config
    if (config.kind !== "cookie") return ""
    const age = config.ttl === 0 ? "" : `; Max-Age=${Math.ceil(config.ttl / 1000)}`
    return `${this.#name}=${this.#names[index]}; Path=/${age}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`
  }

  #key(head: RequestHead, source: string): string | undefined {
    const config = this.#config
    switch (config.kind) {
      case "header":
        return headerValue(head.fields, this.#name)
      case "query":
        this.#query.reset(head.query)
        return this.#query.get(this.#name)
      default:
        return source
    }
  }

  // Weighted rendezvous: the backend for which a number made of key and backend, and stretched by its weight, is the largest.
  // When one weight grows, keys move to its backend, and none anywhere else.
  #byKey(key: string | undefined, weights: readonly number[]): number {
    if (key === undefined || key === "") return -1
    const text = key.length > MAX_KEY ? key.slice(0, MAX_KEY) : key
    let best = -1
    let most = 0
    for (let i = 0; i < weights.length; i++) {
      if (weights[i] === 0) continue
      const score = weights[i] / -Math.log((hashText(text, this.#seeds[i]) + 0.5) / 2 ** 32)
      if (score <= most) continue
      most = score
      best = i
    }
    return best
  }
}
