// The headers of a message, read and edited in the host. Only what is asked for is copied into the filter.

import { Status } from "./abi"
import {
  proxy_add_header_map_value,
  proxy_get_header_map_pairs,
  proxy_get_header_map_value,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
} from "./env"
import { report } from "./log"
import { clearResult, OUT_DATA, OUT_SIZE, release } from "./memory"
import { ascii, decode, encodeName, encodeTo, encodeValue, keySize, releaseKey, releaseValue, takeText, valueSize } from "./text"

/** More pairs than any host sends; a larger count is a broken block. */
const MAX_PAIRS: u32 = 4096

/**
 * One header field.
 *
 * ```ts
 * const first = request.headers.entries()[0]
 * log.info(first.name + ": " + first.value)
 * ```
 */
@final
export class Header {
  constructor(
    /** In lower case. */
    public readonly name: string,
    public readonly value: string,
  ) {}
}

/**
 * The headers of a request or response. Names are case-insensitive and go out in lower case; `:method`, `:path`,
 * `:authority`, `:scheme` and `:status` are reachable under these names too. Values are read as UTF-8 (latin1 where they
 * are not valid UTF-8) and written as UTF-8. A name or value that would break the message (a line break, say) is refused
 * by the gateway and logged; the filter goes on.
 *
 * ```ts
 * request.headers.remove("cookie")
 * request.headers.set("x-tenant", tenant)
 * ```
 */
@final
export class Headers {
  /** @internal */
  constructor(private readonly map: i32) {}

  /**
   * Value of a header, or null if there is none. The first one, where a name repeats.
   *
   * ```ts
   * const key = request.headers.get("x-api-key")
   * if (key === null) return new Reply(401, "missing x-api-key")
   * ```
   */
  get(name: string): string | null {
    return this.find(name) ? takeText() : null
  }

  /** Every value of a header, in order; empty if there is none. */
  getAll(name: string): string[] {
    const values: string[] = []
    const wanted = ascii.lower(name)
    const entries = this.entries()
    for (let i = 0; i < entries.length; i++) {
      if (entries[i].name == wanted) values.push(entries[i].value)
    }
    return values
  }

  /** Whether there is a header of this name. */
  has(name: string): boolean {
    if (!this.find(name)) return false
    release(<usize>load<u32>(OUT_DATA))
    return true
  }

  /** Sets a header, replacing every value it had. */
  set(name: string, value: string): void {
    const key = encodeName(name)
    const text = encodeValue(value)
    const status = proxy_replace_header_map_value(this.map, key, keySize, text, valueSize)
    releaseValue(text)
    releaseKey(key)
    if (status != Status.OK) report('headers.set("' + name + '")', status)
  }

  /** Adds a value and keeps those that are there. */
  add(name: string, value: string): void {
    const key = encodeName(name)
    const text = encodeValue(value)
    const status = proxy_add_header_map_value(this.map, key, keySize, text, valueSize)
    releaseValue(text)
    releaseKey(key)
    if (status != Status.OK) report('headers.add("' + name + '")', status)
  }

  /** Removes a header with all its values; nothing happens if there is none. */
  remove(name: string): void {
    const key = encodeName(name)
    const status = proxy_remove_header_map_value(this.map, key, keySize)
    releaseKey(key)
    if (status != Status.OK && status != Status.NOT_FOUND) report('headers.remove("' + name + '")', status)
  }

  /**
   * All headers in order, repeated names as often as they occur. A copy: edits made later don't show in it. Costs more
   * than `get`, so prefer `get` when the name is known.
   *
   * ```ts
   * const all = request.headers.entries()
   * for (let i = 0; i < all.length; i++) log.info(all[i].name + ": " + all[i].value)
   * ```
   */
  entries(): Header[] {
    const headers: Header[] = []
    clearResult()
    if (proxy_get_header_map_pairs(this.map, OUT_DATA, OUT_SIZE) != Status.OK) return headers
    const block = <usize>load<u32>(OUT_DATA)
    decodePairs(block, load<i32>(OUT_SIZE), headers)
    release(block)
    return headers
  }

  /** The names of {@link entries}, each once. */
  names(): string[] {
    const names: string[] = []
    const entries = this.entries()
    for (let i = 0; i < entries.length; i++) {
      if (!names.includes(entries[i].name)) names.push(entries[i].name)
    }
    return names
  }

  private find(name: string): boolean {
    clearResult()
    const key = encodeName(name)
    const status = proxy_get_header_map_value(this.map, key, keySize, OUT_DATA, OUT_SIZE)
    releaseKey(key)
    return status == Status.OK
  }
}

/** Reads the ABI's block: count, lengths, then name NUL value NUL. A broken block reads as far as it makes sense. */
function decodePairs(block: usize, size: i32, headers: Header[]): void {
  if (size < 4) return
  const count = load<u32>(block)
  if (count > MAX_PAIRS || <i64>count * 8 + 4 > <i64>size) return
  let at: i64 = 4 + <i64>count * 8
  for (let i: u32 = 0; i < count; i++) {
    const lengths = block + 4 + <usize>i * 8
    const nameLength = <i64>load<u32>(lengths)
    const valueLength = <i64>load<u32>(lengths, 4)
    if (at + nameLength + valueLength + 2 > <i64>size) return
    const name = decode(block + <usize>at, <i32>nameLength)
    at += nameLength + 1
    headers.push(new Header(name, decode(block + <usize>at, <i32>valueLength)))
    at += valueLength + 1
  }
}

/** Size of the block {@link encodePairs} returned last. */
export let pairsSize: i32 = 0

/** Writes headers in the ABI's block form to the heap; free it with `heap.free`. */
export function encodePairs(headers: Header[]): usize {
  const count = headers.length
  let capacity: usize = 4
  for (let i = 0; i < count; i++) capacity += 10 + (<usize>headers[i].name.length + <usize>headers[i].value.length) * 3
  const block = heap.alloc(capacity)
  store<u32>(block, count)
  let at = block + 4 + <usize>count * 8
  for (let i = 0; i < count; i++) {
    const lengths = block + 4 + <usize>i * 8
    const nameLength = encodeTo(at, headers[i].name)
    store<u32>(lengths, nameLength)
    at += <usize>nameLength
    store<u8>(at++, 0)
    const valueLength = encodeTo(at, headers[i].value)
    store<u32>(lengths, valueLength, 4)
    at += <usize>valueLength
    store<u8>(at++, 0)
  }
  pairsSize = <i32>(at - block)
  return block
}
