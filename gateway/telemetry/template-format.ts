// Lines of the access log by a template: as text, or as JSON whose fields have one each.

import type { AccessEntry } from "./access-entry.ts"
import type { LineFormat } from "./access-format.ts"
import { jsonText, MAX_TEXT, plainText } from "./access-text.ts"
import type { Writer } from "./template-writers.ts"

/** Text: what there is none of is `-`. */
export class TemplateFormat implements LineFormat {
  readonly #writers: readonly Writer[]

  constructor(writers: readonly Writer[]) {
    this.#writers = writers
  }

  line(entry: AccessEntry): string {
    const writers = this.#writers
    let line = ""
    for (let i = 0; i < writers.length; i++) {
      const writer = writers[i]
      const text = writer.read(entry)
      if (writer.literal || writer.clean) line += text === "" ? "-" : text
      else line += text === "" ? "-" : plainText(text, writer.limit)
    }
    return `${line}\n`
  }

  connection(entry: AccessEntry): string {
    return this.line(entry)
  }
}

interface Field {
  /** `"name":`. */
  readonly key: string
  readonly writers: readonly Writer[]
}

/** JSON: what there is none of is left out. A field of one operator that is a number is one. */
export class FieldsFormat implements LineFormat {
  readonly #fields: readonly Field[]

  constructor(fields: readonly (readonly [name: string, writers: readonly Writer[]])[]) {
    this.#fields = fields.map(([name, writers]) => ({ key: `${jsonText(name, MAX_TEXT)}:`, writers }))
  }

  line(entry: AccessEntry): string {
    const fields = this.#fields
    let line = ""
    for (let i = 0; i < fields.length; i++) {
      const { key, writers } = fields[i]
      const value = writers.length === 1 ? single(writers[0], entry) : joined(writers, entry)
      if (value !== "") line += line === "" ? key + value : `,${key}${value}`
    }
    return `{${line}}\n`
  }

  connection(entry: AccessEntry): string {
    return this.line(entry)
  }
}

const ZERO = 0x30
const NINE = 0x39

// As JSON; "" = there is none.
function single(writer: Writer, entry: AccessEntry): string {
  const text = writer.read(entry)
  if (text === "") return ""
  if (writer.clean) {
    const first = text.charCodeAt(0)
    if (first >= ZERO && first <= NINE) return text
  }
  return jsonText(text, writer.limit)
}

function joined(writers: readonly Writer[], entry: AccessEntry): string {
  let all = ""
  for (let i = 0; i < writers.length; i++) {
    const text = writers[i].read(entry)
    const { limit } = writers[i]
    all += text === "" ? "-" : text.length > limit ? text.slice(0, limit) : text
  }
  return jsonText(all, Number.POSITIVE_INFINITY)
}
