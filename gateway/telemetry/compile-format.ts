// What the configuration says of a line, made into what makes lines, and into the names of the fields it has to be given.

import type { AccessLogConfig } from "../config/access-log-model.ts"
import { AccessFormat, type LineFormat, type ShownField } from "./access-format.ts"
import { FieldsFormat, TemplateFormat } from "./template-format.ts"
import { isRedacted, writersOf } from "./template-writers.ts"

export interface CompiledFormat {
  readonly format: LineFormat
  /** Fields that have to be noted, lower case. */
  readonly request: readonly string[]
  readonly response: readonly string[]
  readonly trailer: readonly string[]
}

export function compileFormat({ format, headers, redact }: Pick<AccessLogConfig, "format" | "headers" | "redact">): CompiledFormat {
  const wanted = { request: new Set(headers.request), response: new Set(headers.response), trailer: new Set<string>() }
  let made: LineFormat
  if (format.kind === "template") made = new TemplateFormat(writersOf(format.parts, redact, wanted))
  else if (format.kind === "fields") made = new FieldsFormat(format.fields.map(([name, parts]) => [name, writersOf(parts, redact, wanted)]))
  else {
    const shown = (names: readonly string[]): ShownField[] => names.map((name) => ({ name, redacted: isRedacted(name, redact) }))
    made = new AccessFormat(shown(headers.request), shown(headers.response))
  }
  return { format: made, request: [...wanted.request], response: [...wanted.response], trailer: [...wanted.trailer] }
}
