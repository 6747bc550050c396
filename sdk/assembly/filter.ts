// The class form of a filter, for those that keep state per exchange.

import { Body } from "./body"
import { Answer, Call } from "./call"
import { GrpcAnswer, GrpcCall } from "./grpc-call"
import { Headers } from "./headers"
import { Reply } from "./reply"
import { Request } from "./request"
import { Response } from "./response"
import { request, response } from "./runtime"

/**
 * A filter with state: one object is made for each exchange and dropped at its end. Export exactly one subclass; override
 * what you need, with these signatures. `configure`, `onTick` and `onQueue` stay plain functions, since they belong to no
 * exchange.
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
  /** The exchange's request, for `onAnswer` and `onGrpcAnswer`. */
  get request(): Request {
    return request
  }

  /** The exchange's response, for `onAnswer` and `onGrpcAnswer`. */
  get response(): Response {
    return response
  }

  /** The request's headers are here. A reply ends the exchange, null lets it go on. */
  onRequest(request: Request): Reply | null {
    return null
  }

  /** The request's whole body is here, if it has one. */
  onRequestBody(request: Request, body: Body): Reply | null {
    return null
  }

  /** A piece of the request's body is here; `end` says whether it is the last, unless trailers follow. */
  onRequestChunk(request: Request, body: Body, end: boolean): Reply | null {
    return null
  }

  /** The request ends with trailers. */
  onRequestTrailers(request: Request, trailers: Headers): void {}

  /** The response's headers are here. A reply takes the response's place, null lets it pass. */
  onResponse(response: Response): Reply | null {
    return null
  }

  /** The response's whole body is here, if it has one. */
  onResponseBody(response: Response, body: Body): Reply | null {
    return null
  }

  /** A piece of the response's body is here; `end` says whether it is the last, unless trailers follow. */
  onResponseChunk(response: Response, body: Body, end: boolean): Reply | null {
    return null
  }

  /** The response ends with trailers. */
  onResponseTrailers(response: Response, trailers: Headers): void {}

  /** The answer to a call that was sent with `sendTo(this)`; the exchange waits for it. */
  onAnswer(call: Call, answer: Answer): Reply | null {
    return null
  }

  /** The answer to a gRPC call that was sent with `sendTo(this)`; the exchange waits for it. */
  onGrpcAnswer(call: GrpcCall, answer: GrpcAnswer): Reply | null {
    return null
  }

  /** The exchange is over; request and response can be read, but no longer changed. */
  onLog(request: Request, response: Response): void {}
}
