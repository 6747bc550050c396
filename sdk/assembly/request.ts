// The request as a filter sees it.

import { MapType } from "./abi"
import { bodyFollows, currentContext } from "./context"
import { findCookie } from "./cookie"
import { Headers } from "./headers"
import { Peer } from "./peer"
import { properties } from "./properties"
import { editQuery, Query } from "./query"
import { Route } from "./route"
import { skip } from "./skip"

/**
 * The request of the current exchange. It is a view: every read asks the gateway, every write changes what is sent to the
 * service. Keep in a local what you need twice.
 *
 * ```ts
 * if (request.method == "GET" && request.path == "/old") request.path = "/new"
 * ```
 */
@final
export class Request {
  /** The request's headers; editable in `onRequest`. */
  readonly headers: Headers = new Headers(MapType.HTTP_REQUEST_HEADERS)

  /** `GET`, `POST` …; "" if unknown. */
  get method(): string {
    return this.pseudo(":method")
  }
  set method(value: string) {
    this.headers.set(":method", value)
  }

  /** Path with its query as it was sent: `/search?q=tea`. */
  get target(): string {
    return this.pseudo(":path")
  }
  set target(value: string) {
    this.headers.set(":path", value)
  }

  /** Path without its query: `/search`. Setting it keeps the query. */
  get path(): string {
    const target = this.target
    const mark = target.indexOf("?")
    return mark < 0 ? target : target.substring(0, mark)
  }
  set path(value: string) {
    const target = this.target
    const mark = target.indexOf("?")
    this.target = mark < 0 ? value : value + target.substring(mark)
  }

  /** The decoded parameters behind the `?`, parsed anew at every access. */
  get query(): Query {
    const target = this.target
    const mark = target.indexOf("?")
    return new Query(mark < 0 ? "" : target.substring(mark + 1))
  }

  /**
   * Sets a parameter of the query, in the place of those of that name or at the end; the others stay as they were written.
   *
   * ```ts
   * request.setQuery("lang", "de")
   * ```
   */
  setQuery(name: string, value: string): void {
    this.target = editQuery(this.target, name, value)
  }

  /** Removes every parameter of that name. */
  removeQuery(name: string): void {
    this.target = editQuery(this.target, name, null)
  }

  /**
   * A cookie the client sent, or null.
   *
   * ```ts
   * const session = request.cookie("session")
   * ```
   */
  cookie(name: string): string | null {
    const first = this.headers.get("cookie")
    if (first === null) return null
    const value = findCookie(first, name)
    if (value !== null) return value
    const all = this.headers.getAll("cookie") // HTTP/2 may split the field
    for (let i = 1; i < all.length; i++) {
      const other = findCookie(all[i], name)
      if (other !== null) return other
    }
    return null
  }

  /** Host the client asked for, with its port if it named one: `shop.example.com`. */
  get host(): string {
    return this.pseudo(":authority")
  }
  set host(value: string) {
    this.headers.set(":authority", value)
  }

  /** `http` or `https`. */
  get scheme(): string {
    return this.pseudo(":scheme")
  }

  /** The exchange's id (`x-request-id`), which is also in the access log; "" if there is none. */
  get id(): string {
    return this.pseudo("x-request-id")
  }

  /** The client's address and port, `10.0.0.7:51234`; "" if unknown. Behind other proxies this is the last of them. */
  get clientAddress(): string {
    const address = properties.text("source.address")
    return address === null ? "" : address
  }

  /** Whether a body follows; to be asked in `onRequest`. If so, `onRequestBody` is called, be it empty in the end. */
  get hasBody(): boolean {
    return bodyFollows
  }

  /**
   * Has this request's body pass as it comes, without `onRequestBody` or `onRequestChunk`; to be called in `onRequest`.
   *
   * ```ts
   * if (request.headers.get("content-type") != "application/json") request.skipBody()
   * ```
   */
  skipBody(): void {
    skip(currentContext, true)
  }

  /** The client's side of the connection: address, certificate, TLS. */
  get peer(): Peer {
    return new Peer()
  }

  /** Where the request goes. */
  get route(): Route {
    return new Route()
  }

  private pseudo(name: string): string {
    const value = this.headers.get(name)
    return value === null ? "" : value
  }
}
