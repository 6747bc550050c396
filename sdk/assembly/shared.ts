// Values that all instances of a filter share, whichever thread they run in.

import { Status } from "./abi"
import { proxy_get_shared_data, proxy_set_shared_data } from "./env"
import { report } from "./log"
import { clearResult, OUT_DATA, OUT_SIZE, OUT_WORD, release } from "./memory"
import { decimal, encodeKey, encodeValue, keySize, releaseKey, releaseValue, takeText, valueSize } from "./text"

/**
 * A version that no stored value has. The ABI writes unconditionally for version 0, but for any other version it writes
 * only if the key is absent or has that version: so this one means "only if absent".
 */
const ABSENT: u32 = 0xffffffff
/** Attempts against other threads before an update gives up. */
const MAX_ATTEMPTS: i32 = 64

const EIGHT_BYTES: usize = memory.data(8, 8)

/**
 * A shared value and the version it was read at.
 *
 * ```ts
 * const old = shared.read("state")
 * if (old !== null && shared.compareAndSet("state", old.value + "!", old)) log.info("changed")
 * ```
 */
@final
export class SharedValue {
  constructor(
    public readonly value: string,
    /** For `compareAndSet`; changes with every write. */
    public readonly version: u32,
  ) {}
}

/**
 * Data shared by all workers of the gateway process, kept while it runs. Keys stay until the process ends, so their number
 * must be bounded: never make a key from what a client sends unchecked.
 *
 * ```ts
 * const seen = shared.increment("requests")
 * ```
 */
export namespace shared {
  /** The value of a key, or null. */
  export function get(key: string): string | null {
    return fetch(key) ? takeText() : null
  }

  /** The value of a key with its version, for `compareAndSet`. */
  export function read(key: string): SharedValue | null {
    if (!fetch(key)) return null
    const version = load<u32>(OUT_WORD)
    return new SharedValue(takeText(), version)
  }

  /** Writes a value, whatever was there. */
  export function set(key: string, value: string): void {
    const status = put(key, value, 0)
    if (status != Status.OK) report('shared.set("' + key + '")', status)
  }

  /**
   * Writes a value only if nobody has written since `expected` was read; `null` means that the key must be absent.
   * False if somebody was faster: read again and retry.
   *
   * ```ts
   * const old = shared.read("leader")
   * if (old === null && shared.compareAndSet("leader", "me", null)) log.info("I lead")
   * ```
   */
  export function compareAndSet(key: string, value: string, expected: SharedValue | null): boolean {
    const status = put(key, value, expected === null ? ABSENT : expected.version)
    if (status != Status.OK && status != Status.CAS_MISMATCH) report('shared.compareAndSet("' + key + '")', status)
    return status == Status.OK
  }

  /** Adds to a counter, which begins at 0, and returns its new value. Safe against other threads. */
  export function increment(key: string, delta: i64 = 1): i64 {
    let value: i64 = delta
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      value = readLong(key, 0) + delta
      if (replaceLong(key, value)) return value
    }
    report('shared.increment("' + key + '")', Status.CAS_MISMATCH)
    return value
  }

  /** The value of a counter; 0 if it was never incremented. */
  export function count(key: string): i64 {
    return readLong(key, 0)
  }
}

/**
 * A number that all workers count together.
 *
 * ```ts
 * const visits = new SharedCounter("visits")
 *
 * log.info("visit " + visits.increment().toString())
 * ```
 */
@final
export class SharedCounter {
  constructor(private readonly key: string) {}

  /** Adds to it and returns its new value. */
  increment(delta: i64 = 1): i64 {
    return shared.increment(this.key, delta)
  }

  /** Its value now; 0 at the beginning. */
  get value(): i64 {
    return shared.count(this.key)
  }
}

/** Version that the last {@link readCell} saw. */
let cellVersion: u32 = 0

/** Copies the `size` octets of a value to `target`; false if there is no value of that size. */
export function readCell(key: string, target: usize, size: i32): boolean {
  if (!fetch(key)) {
    cellVersion = ABSENT
    return false
  }
  cellVersion = load<u32>(OUT_WORD)
  const data = <usize>load<u32>(OUT_DATA)
  const fits = load<i32>(OUT_SIZE) == size
  if (fits) memory.copy(target, data, <usize>size)
  release(data)
  return fits
}

/** Writes octets if the key is as the last {@link readCell} saw it. True also when the host refuses for good. */
export function replaceCell(key: string, source: usize, size: i32): boolean {
  const name = encodeKey(key)
  const status = proxy_set_shared_data(name, keySize, source, size, cellVersion)
  releaseKey(name)
  if (status == Status.CAS_MISMATCH) return false
  if (status != Status.OK) report('shared data "' + key + '"', status)
  return true
}

/** Reads eight bytes; what has another size counts as `absent` and is overwritten. */
export function readLong(key: string, absent: i64): i64 {
  return readCell(key, EIGHT_BYTES, 8) ? load<i64>(EIGHT_BYTES) : absent
}

/** As {@link replaceCell}, for what {@link readLong} reads. */
export function replaceLong(key: string, value: i64): boolean {
  store<i64>(EIGHT_BYTES, value)
  return replaceCell(key, EIGHT_BYTES, 8)
}

/**
 * The key under which `key` is counted: itself, or one of `slots`, so that clients that make up keys can't fill the shared
 * data.
 */
export function slotOf(key: string, slots: i32): string {
  if (slots <= 0) return key
  let hash: u32 = 0x811c9dc5 // FNV-1a
  for (let i = 0; i < key.length; i++) {
    hash = (hash ^ <u32>key.charCodeAt(i)) * 0x01000193
  }
  hash ^= hash >> 15
  return "#" + decimal(hash % <u32>slots)
}

function fetch(key: string): boolean {
  clearResult()
  store<u32>(OUT_WORD, 0)
  const name = encodeKey(key)
  const status = proxy_get_shared_data(name, keySize, OUT_DATA, OUT_SIZE, OUT_WORD)
  releaseKey(name)
  return status == Status.OK
}

function put(key: string, value: string, version: u32): i32 {
  const name = encodeKey(key)
  const text = encodeValue(value)
  const status = proxy_set_shared_data(name, keySize, text, valueSize, version)
  releaseValue(text)
  releaseKey(name)
  return status
}
