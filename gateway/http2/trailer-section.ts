// A decoded header section as trailers; or one that is decoded for the sake of the tables alone.

import { Fields } from "../http/fields.ts"
import { isTrailerField } from "../http/trailers.ts"
import { DROPPED, FIELD, LAST_PSEUDO } from "./field-kinds.ts"
import type { FieldSink } from "./hpack-decoder.ts"
import { FIELD_OVERHEAD } from "./request-section.ts"

/** As of chunked trailers in HTTP/1.1. */
const OCTETS = 16 * 1024
const FIELDS = 64

export class TrailerSection implements FieldSink {
  readonly fields: Fields = new Fields()
  malformed = ""
  #size = 0
  #count = 0

  onField(name: string, value: string, kind: number): void {
    if (kind === DROPPED) return
    this.#size += name.length + value.length + FIELD_OVERHEAD
    if ((kind !== FIELD && kind <= LAST_PSEUDO) || !isTrailerField(name)) this.malformed ||= `trailer ${JSON.stringify(name.slice(0, 40))}`
    else if (++this.#count > FIELDS || this.#size > OCTETS) this.malformed ||= "trailers too large"
    else this.fields.append(name, value)
  }
}

/** Takes nothing. */
export const nowhere: FieldSink = { onField: () => {} }
