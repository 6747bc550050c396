// The body of a message, read and edited in the host.

import { Status } from "./abi"
import { proxy_get_buffer_bytes, proxy_get_buffer_status, proxy_set_buffer_bytes } from "./env"
import { Json } from "./json"
import { report } from "./log"
import { clearResult, OUT_DATA, OUT_SIZE, OUT_WORD, takeUint8Array } from "./memory"
import { payload, payloadSize, releasePayload } from "./payload"
import { takeText } from "./text"

/**
 * The body a callback is given: all of it in `onRequestBody` and `onResponseBody`, one piece in `onRequestChunk` and
 * `onResponseChunk`. Reading copies it into the filter, so keep in a local what you need twice; editing changes what is
 * sent on. It is of use within its callback, and in the callback of a `Call` that this one sent.
 *
 * ```ts
 * export function onRequestBody(request: Request, body: Body): Reply | null {
 *   if (body.text().includes("<script")) return new Reply(400, "no markup, please")
 *   return null
 * }
 * ```
 */
@final
export class Body {
  /** @internal */
  constructor(private readonly buffer: i32) {}

  /** Octets. */
  get length(): i32 {
    store<u32>(OUT_SIZE, 0)
    if (proxy_get_buffer_status(this.buffer, OUT_SIZE, OUT_WORD) != Status.OK) return 0
    return load<i32>(OUT_SIZE)
  }

  /** As text: UTF-8, or latin1 where it isn't valid UTF-8. A compressed body (`content-encoding`) stays compressed. */
  text(): string {
    return fetchBuffer(this.buffer) ? takeText() : ""
  }

  /** A copy of its octets. */
  bytes(): Uint8Array {
    return fetchBuffer(this.buffer) ? takeUint8Array() : new Uint8Array(0)
  }

  /**
   * Parsed as JSON. Never null: what isn't JSON has `valid` false and an `error`, and reads as empty.
   *
   * ```ts
   * const order = body.json()
   * if (!order.valid) return new Reply(400, order.error)
   * request.headers.set("x-customer", order.find("customer.id").asString())
   * ```
   */
  json(): Json {
    return Json.parse(this.text())
  }

  /**
   * Puts text or bytes in its place.
   *
   * ```ts
   * body.replace(body.text().replaceAll("http://", "https://"))
   * ```
   */
  replace<T>(content: T): void {
    this.splice<T>(0, i32.MAX_VALUE, content, "replace")
  }

  /** Adds text or bytes at its end. */
  append<T>(content: T): void {
    this.splice<T>(i32.MAX_VALUE, 0, content, "append")
  }

  /** Adds text or bytes at its beginning. */
  prepend<T>(content: T): void {
    this.splice<T>(0, 0, content, "prepend")
  }

  /** Puts JSON in its place; the `content-type` stays what it was. */
  setJson(json: Json): void {
    this.splice<string>(0, i32.MAX_VALUE, json.stringify(), "setJson")
  }

  private splice<T>(start: i32, length: i32, content: T, what: string): void {
    const data = payload<T>(content)
    const status = proxy_set_buffer_bytes(this.buffer, start, length, data, payloadSize)
    releasePayload<T>(data)
    if (status != Status.OK) report("body." + what, status)
  }
}

/** Copies a buffer of the host to where `takeText` and its like find it. */
export function fetchBuffer(buffer: i32): boolean {
  clearResult()
  return proxy_get_buffer_bytes(buffer, 0, i32.MAX_VALUE, OUT_DATA, OUT_SIZE) == Status.OK
}

