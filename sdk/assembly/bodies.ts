// What the glue of filters with body and trailer callbacks needs. Only they contain this.

import { BufferType, MapType } from "./abi"
import { Body } from "./body"
import { proxy_remove_header_map_value } from "./env"
import { Headers } from "./headers"
import { encodeKey, keySize, releaseKey } from "./text"

export const requestBody: Body = new Body(BufferType.HTTP_REQUEST_BODY)
export const responseBody: Body = new Body(BufferType.HTTP_RESPONSE_BODY)
export const requestTrailers: Headers = new Headers(MapType.HTTP_REQUEST_TRAILERS)
export const responseTrailers: Headers = new Headers(MapType.HTTP_RESPONSE_TRAILERS)

/**
 * The body may change its length, and by then the head may have left: Envoy sends it at once. Sluice sets the exact length
 * itself when the body is complete.
 */
export function dropLength(map: i32): void {
  const key = encodeKey("content-length")
  proxy_remove_header_map_value(map, key, keySize)
  releaseKey(key)
}
