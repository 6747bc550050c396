// The response as a filter sees it.

import { MapType } from "./abi"
import { bodyFollows, currentContext } from "./context"
import { Headers } from "./headers"
import { skip } from "./skip"
import { decimal } from "./text"

/**
 * The response of the current exchange: a view like `Request`, editable in `onResponse`.
 *
 * ```ts
 * if (response.status == 404) response.headers.set("cache-control", "max-age=60")
 * ```
 */
@final
export class Response {
  /** The response's headers. */
  readonly headers: Headers = new Headers(MapType.HTTP_RESPONSE_HEADERS)

  /** HTTP status, 0 if there is no response. */
  get status(): i32 {
    const text = this.headers.get(":status")
    if (text === null || text.length != 3) return 0
    let status = 0
    for (let i = 0; i < 3; i++) {
      const digit = text.charCodeAt(i) - 0x30
      if (digit < 0 || digit > 9) return 0
      status = status * 10 + digit
    }
    return status
  }
  set status(value: i32) {
    this.headers.set(":status", decimal(value))
  }

  /** Whether a body follows; to be asked in `onResponse`. */
  get hasBody(): boolean {
    return bodyFollows
  }

  /**
   * Has this response's body pass as it comes, without `onResponseBody` or `onResponseChunk`; to be called in `onResponse`.
   * A filter that reads whole bodies should skip those it has no use for: they may be large, or never end.
   *
   * ```ts
   * if (response.headers.get("content-type") != "application/json") response.skipBody()
   * ```
   */
  skipBody(): void {
    skip(currentContext, false)
  }
}
