// Who wants to see single exchanges: a tracer, and whoever taps them. When nobody does, an exchange pays for one comparison.

import type { RequestHead } from "../http/message.ts"
import type { AccessEntry, TcpAccessEntry } from "./access-log.ts"
import type { RouteTracing } from "./tracing/route-tracing.ts"
import type { Trail } from "./trail.ts"

/** An exchange as those see it who watch it. It is theirs only until their callback returns. */
export interface WatchedExchange extends AccessEntry {
  /** As it is now: filters, and edits of its route, change it on its way. */
  readonly head: RequestHead
  /** Null: nobody wants its steps. */
  readonly trail: Trail | null
  /** ms from the first octet of its request to the end of the head, as far as it came in several pieces. */
  readonly headTook: number
  /** The client, as a trusted proxy in front tells it, and whom the connection is from. */
  readonly sourceAddress: string
  readonly peerAddress: string
  readonly sourcePort: number
  /** What proxies in front say of it is believed. */
  readonly trusted: boolean
  /** Of its route; null = it has none yet, or nothing is traced. */
  readonly tracing: RouteTracing | null
}

/** A TCP connection as they see it. */
export interface WatchedConnection extends TcpAccessEntry {
  /** Null: nobody wants its steps. */
  readonly trail: Trail | null
  /** Of its listener; null = nothing is traced. */
  readonly tracing: RouteTracing | null
}

/** Someone who watches. Called on the path of requests: must not wait. What it throws is reported, and the exchange goes on. */
export interface Watcher {
  /** It is told before all others, whenever it was added: it wants to see a request before they write something into it. */
  readonly first?: true
  /**
   * An exchange has found its route, and goes to its filters now. Returns `trail`, which may be what another watcher asked for,
   * or a new one if there is none yet and this one wants to see the exchange's steps.
   */
  begin(exchange: WatchedExchange, trail: Trail | null): Trail | null
  /** It is over. Told of those that have a trail, and of those that failed before they had a route, which never began. */
  end(exchange: WatchedExchange): void
  /** The same of a TCP connection that is to be carried. */
  beginConnection?(connection: WatchedConnection, trail: Trail | null): Trail | null
  /** It is over. Told of all of them. */
  endConnection?(connection: WatchedConnection): void
  /** A connection was refused before it could be carried. */
  refusedConnection?(connection: TcpAccessEntry): void
}

function raise(error: unknown): never {
  throw error
}

export class Watch {
  /** Somebody may want to see exchanges: ask before anything else. */
  active = false
  #watchers: readonly Watcher[] = []
  readonly #onFault: (error: unknown) => void

  /** `onFault`: told of what a watcher threw; default: it is thrown on. */
  constructor(onFault: (error: unknown) => void = raise) {
    this.#onFault = onFault
  }

  add(watcher: Watcher): void {
    if (this.#watchers.includes(watcher)) return
    this.#watchers = watcher.first === true ? [watcher, ...this.#watchers] : [...this.#watchers, watcher]
    this.active = true
  }

  remove(watcher: Watcher): void {
    this.#watchers = this.#watchers.filter((each) => each !== watcher)
    this.active = this.#watchers.length > 0
  }

  begin(exchange: WatchedExchange): Trail | null {
    let trail: Trail | null = null
    for (const watcher of this.#watchers) {
      try {
        trail = watcher.begin(exchange, trail)
      } catch (error) {
        this.#onFault(error)
      }
    }
    return trail
  }

  end(exchange: WatchedExchange): void {
    for (const watcher of this.#watchers) {
      try {
        watcher.end(exchange)
      } catch (error) {
        this.#onFault(error)
      }
    }
  }

  beginConnection(connection: WatchedConnection): Trail | null {
    let trail: Trail | null = null
    for (const watcher of this.#watchers) {
      if (watcher.beginConnection === undefined) continue
      try {
        trail = watcher.beginConnection(connection, trail)
      } catch (error) {
        this.#onFault(error)
      }
    }
    return trail
  }

  endConnection(connection: WatchedConnection): void {
    for (const watcher of this.#watchers) {
      try {
        watcher.endConnection?.(connection)
      } catch (error) {
        this.#onFault(error)
      }
    }
  }

  refusedConnection(connection: TcpAccessEntry): void {
    for (const watcher of this.#watchers) {
      try {
        watcher.refusedConnection?.(connection)
      } catch (error) {
        this.#onFault(error)
      }
    }
  }
}
