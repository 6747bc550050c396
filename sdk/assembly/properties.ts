// What the gateway knows about an exchange beside its headers.

import { Status } from "./abi"
import { proxy_get_property, proxy_set_property } from "./env"
import { clearResult, OUT_DATA, OUT_SIZE, takeBytes } from "./memory"
import { encodeKey, encodeValue, keySize, releaseKey, releaseValue, takeText, valueSize } from "./text"

/**
 * Properties of the exchange by path: `source.address`, `request.protocol`, `connection.requested_server_name`,
 * `plugin_name` and the others of Proxy-Wasm. Parts are separated by dots; where a part contains a dot itself, separate
 * all parts by `\0` instead.
 *
 * ```ts
 * const client = properties.text("source.address")
 * ```
 */
export namespace properties {
  /** A text property; null if the gateway doesn't know it here. */
  export function text(path: string): string | null {
    return fetch(path) ? takeText() : null
  }

  /** An integer property (`response.code`, `source.port` …), or `fallback`. */
  export function int(path: string, fallback: i64 = 0): i64 {
    const value = bytes(path)
    return value === null || value.byteLength != 8 ? fallback : load<i64>(changetype<usize>(value))
  }

  /** A yes-or-no property (`connection.mtls`), or `fallback`. */
  export function bool(path: string, fallback: boolean = false): boolean {
    const value = bytes(path)
    return value === null || value.byteLength != 1 ? fallback : load<u8>(changetype<usize>(value)) != 0
  }

  /** A property as the gateway encodes it; null if it doesn't know it here. */
  export function bytes(path: string): ArrayBuffer | null {
    return fetch(path) ? takeBytes() : null
  }

  /**
   * Stores a text for the rest of the exchange, under a path of your own: other filters of it read it back. False if the
   * gateway doesn't keep it, as outside of an exchange.
   *
   * ```ts
   * properties.set("shop.tenant", tenant)
   * ```
   */
  export function set(path: string, value: string): boolean {
    const key = encodePath(path)
    const text = encodeValue(value)
    const status = proxy_set_property(key, keySize, text, valueSize)
    releaseValue(text)
    releaseKey(key)
    return status == Status.OK
  }
}

function fetch(path: string): boolean {
  clearResult()
  const key = encodePath(path)
  const status = proxy_get_property(key, keySize, OUT_DATA, OUT_SIZE)
  releaseKey(key)
  return status == Status.OK
}

/** Dots become the ABI's separator, unless it is there already. */
function encodePath(path: string): usize {
  const key = encodeKey(path)
  const end = key + keySize
  let split = true
  for (let at = key; at < end; at++) {
    if (load<u8>(at) == 0) split = false
  }
  if (split) {
    for (let at = key; at < end; at++) {
      if (load<u8>(at) == 0x2e) store<u8>(at, 0)
    }
  }
  return key
}
