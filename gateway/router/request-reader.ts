// What matches may ask of a request beside its host, path, method and headers: its query, its cookies, and its lot. Looked at
// when it is asked for; reused from request to request.

import { CookieReader } from "../http/cookies.ts"
import type { Fields } from "../http/fields.ts"
import { QueryReader } from "./query-reader.ts"

export class RequestReader {
  readonly query = new QueryReader()
  readonly cookies = new CookieReader()
  /** 32 bits that decide which matches with a percentage take it: the same ones as often as it is looked up. */
  draw = 0

  /** Starts over with another request. */
  reset(query: string | undefined, fields: Fields, draw: number): void {
    this.query.reset(query)
    this.cookies.reset(fields)
    this.draw = draw
  }
}
