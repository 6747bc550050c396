// The class form of a filter, for those that keep state per exchange.

import { Reply } from "./reply"
import { Request } from "./request"
import { Response } from "./response"

/**
 * A filter with state: one object is made for each exchange and dropped at its end. Export exactly one subclass; override
 * what you need, with these signatures. `configure` stays a plain function, since it belongs to all exchanges.
 *
 * ```ts
 * export class Timer extends HttpFilter {
 *   private start: i64 = 0
 *
 *   onRequest(request: Request): Reply | null {
 *     this.start = now()
 *     return null
 *   }
 *
 *   onResponse(response: Response): Reply | null {
 *     response.headers.set("x-took", (now() - this.start).toString() + "ms")
 *     return null
 *   }
 * }
 * ```
 */
export abstract class HttpFilter {
  /** The request's headers are here. A reply ends the exchange, null lets it go on. */
  onRequest(request: Request): Reply | null {
    return null
  }

  /** The response's headers are here. A reply takes the response's place, null lets it pass. */
  onResponse(response: Response): Reply | null {
    return null
  }

  /** The exchange is over; request and response can be read, but no longer changed. */
  onLog(request: Request, response: Response): void {}
}
