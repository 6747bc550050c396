// Writes JSON.

import { Json, JsonKind, MAX_NESTING } from "./json"
import { decimal } from "./text"

const FIRST_SIZE: usize = 1024

/** UTF-16 units that grow as needed: joining strings would copy the text again and again. */
@final
class Writer {
  private block: usize = heap.alloc(FIRST_SIZE)
  private capacity: usize = FIRST_SIZE
  private length: usize = 0

  unit(code: u32): void {
    this.room(2)
    store<u16>(this.block + this.length, code)
    this.length += 2
  }

  text(text: string): void {
    this.units(changetype<usize>(text), text.length)
  }

  units(source: usize, count: i32): void {
    const size = (<usize>count) << 1
    this.room(size)
    memory.copy(this.block + this.length, source, size)
    this.length += size
  }

  finish(): string {
    const text = __new(this.length, idof<string>())
    memory.copy(text, this.block, this.length)
    heap.free(this.block)
    return changetype<string>(text)
  }

  private room(size: usize): void {
    const needed = this.length + size
    if (needed <= this.capacity) return
    this.capacity = max(needed, this.capacity << 1)
    this.block = heap.realloc(this.block, this.capacity)
  }
}

export function stringifyJson(json: Json): string {
  const writer = new Writer()
  write(writer, json, 0)
  return writer.finish()
}

function write(writer: Writer, json: Json, depth: i32): void {
  if (depth > MAX_NESTING) {
    writer.text("null")
    return
  }
  switch (json.kind) {
    case JsonKind.BOOL:
      writer.text(json.truth ? "true" : "false")
      break
    case JsonKind.NUMBER:
      writer.text(json.text.length > 0 ? json.text : numberText(json.num))
      break
    case JsonKind.STRING:
      quote(writer, json.text)
      break
    case JsonKind.ARRAY: {
      writer.unit(0x5b)
      const items = json.items
      if (items !== null) {
        for (let i = 0; i < items.length; i++) {
          if (i > 0) writer.unit(0x2c)
          write(writer, items[i], depth + 1)
        }
      }
      writer.unit(0x5d)
      break
    }
    case JsonKind.OBJECT: {
      writer.unit(0x7b)
      const fields = json.fields
      if (fields !== null) {
        const keys = fields.keys()
        for (let i = 0; i < keys.length; i++) {
          if (i > 0) writer.unit(0x2c)
          quote(writer, keys[i])
          writer.unit(0x3a)
          write(writer, fields.get(keys[i]), depth + 1)
        }
      }
      writer.unit(0x7d)
      break
    }
    default:
      writer.text("null")
  }
}

/** JSON has neither infinities nor NaN. */
function numberText(value: f64): string {
  if (!isFinite(value)) return "null"
  return value == Math.floor(value) && Math.abs(value) <= 9007199254740991.0 ? decimal(<i64>value) : value.toString()
}

function quote(writer: Writer, text: string): void {
  writer.unit(0x22)
  const length = text.length
  const source = changetype<usize>(text)
  let plain = 0
  for (let i = 0; i < length; i++) {
    const code = <u32>load<u16>(source + ((<usize>i) << 1))
    if (code >= 0x20 && code != 0x22 && code != 0x5c) continue
    writer.units(source + ((<usize>plain) << 1), i - plain)
    plain = i + 1
    writer.unit(0x5c)
    if (code == 0x22 || code == 0x5c) writer.unit(code)
    else if (code == 0x0a) writer.unit(0x6e)
    else if (code == 0x0d) writer.unit(0x72)
    else if (code == 0x09) writer.unit(0x74)
    else {
      writer.text("u00")
      writer.unit(0x30 + (code >> 4))
      writer.unit((code & 15) < 10 ? 0x30 + (code & 15) : 0x57 + (code & 15))
    }
  }
  writer.units(source + ((<usize>plain) << 1), length - plain)
  writer.unit(0x22)
}
