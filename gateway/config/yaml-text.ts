// Plain values → YAML for people, some fifty times as fast as a full writer: a configuration of ten thousand routes is half a million
// lines. What is short and flat stands on one line.

/** Characters of a list or map on one line. */
const MAX_LINE = 100

// Never read as anything but this text, in block and flow style.
const PLAIN = /^[A-Za-z0-9_/.$](?:[\w/.$+=@*-]|:(?=[\w/])| (?=[\w/]))*$/
const OTHER_MEANING = /^(?:null|true|false|yes|no|on|off|~|\.inf|\.nan)$/i
const NUMBER = /^[-+.]?\d[\d_]*(?:\.[\d_]*)?(?:e[-+]?\d+)?$|^0[xob][\da-f_]+$|^\d+(?::[0-5]?\d)+$|^\d{4}-\d/i

/** A document that ends with a line break. Values are those of JSON. */
export function yamlText(value: unknown): string {
  const lines: string[] = []
  write(value, "", "", lines)
  return `${lines.join("\n")}\n`
}

function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? "null"
  return isPlain(value) ? value : JSON.stringify(value).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, escaped)
}

function isPlain(text: string): boolean {
  return text.length <= 1000 && PLAIN.test(text) && !OTHER_MEANING.test(text) && !NUMBER.test(text)
}

function escaped(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
}

/** `lead`: what stands before the first line, `indent`: before the others. */
function write(value: unknown, lead: string, indent: string, lines: string[]): void {
  const short = oneLine(value, MAX_LINE)
  if (short !== null) return void lines.push(lead + short)
  if (Array.isArray(value)) {
    if (lead.endsWith(": ")) lines.push(lead.trimEnd())
    for (const [i, item] of value.entries()) write(item, `${i === 0 && !lead.endsWith(": ") ? lead : indent}- `, `${indent}  `, lines)
    return
  }
  if (lead.endsWith(": ")) lines.push(lead.trimEnd())
  let first = !lead.endsWith(": ")
  for (const [key, item] of Object.entries(value as object)) {
    if (item === undefined) continue
    write(item, `${first ? lead : indent}${scalar(key)}: `, `${indent}  `, lines)
    first = false
  }
}

/** Null: it doesn't go on one line of so many characters, or isn't flat. */
function oneLine(value: unknown, room: number): string | null {
  if (typeof value !== "object" || value === null) return scalar(value)
  const list = Array.isArray(value)
  const parts: string[] = []
  let length = 4
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined && !list) continue
    // Flow style in flow style is hard to read.
    if (typeof item === "object" && item !== null && Object.keys(item).length > 0) return null
    const shown = typeof item === "object" && item !== null ? (Array.isArray(item) ? "[]" : "{}") : scalar(item)
    const part = list ? shown : `${scalar(key)}: ${shown}`
    length += part.length + 2
    if (length > room) return null
    parts.push(part)
  }
  if (parts.length === 0) return list ? "[]" : "{}"
  return list ? `[${parts.join(", ")}]` : `{ ${parts.join(", ")} }`
}
