// Filters written in TypeScript, for tests of what exchanges make of what filters do.

import type { BodyBuffer } from "../../gateway/filter/body-buffer.ts"
import {
  type BodyAction,
  CONTINUE,
  type FilterAction,
  type FilterStream,
  type HttpFilter,
  REQUEST_BODY,
  REQUEST_TRAILERS,
  RESPONSE_BODY,
  RESPONSE_TRAILERS,
  type StreamFilter,
} from "../../gateway/filter/filter.ts"
import type { Fields } from "../../gateway/http/fields.ts"

/** What a filter does in each phase; it goes on in those that are missing, and has no interest in their bodies. */
export interface Behaviour {
  requestHeaders?(stream: FilterStream, self: StreamFilter): FilterAction
  requestBody?(stream: FilterStream, body: BodyBuffer, end: boolean, self: StreamFilter): BodyAction
  requestTrailers?(stream: FilterStream, trailers: Fields, self: StreamFilter): FilterAction
  responseHeaders?(stream: FilterStream, self: StreamFilter): FilterAction
  responseBody?(stream: FilterStream, body: BodyBuffer, end: boolean, self: StreamFilter): BodyAction
  responseTrailers?(stream: FilterStream, trailers: Fields, self: StreamFilter): FilterAction
  done?(stream: FilterStream): void
}

export function actingFilter(behaviour: Behaviour, bodyLimit = 1024): HttpFilter {
  let interests = 0
  if (behaviour.requestBody) interests |= REQUEST_BODY
  if (behaviour.requestTrailers) interests |= REQUEST_TRAILERS
  if (behaviour.responseBody) interests |= RESPONSE_BODY
  if (behaviour.responseTrailers) interests |= RESPONSE_TRAILERS
  return {
    name: "test",
    interests,
    bodyLimit,
    open(stream) {
      const self: StreamFilter = {
        onRequestHeaders: () => behaviour.requestHeaders?.(stream, self) ?? CONTINUE,
        onRequestBody: (body, end) => behaviour.requestBody?.(stream, body, end, self) ?? CONTINUE,
        onRequestTrailers: (trailers) => behaviour.requestTrailers?.(stream, trailers, self) ?? CONTINUE,
        onResponseHeaders: () => behaviour.responseHeaders?.(stream, self) ?? CONTINUE,
        onResponseBody: (body, end) => behaviour.responseBody?.(stream, body, end, self) ?? CONTINUE,
        onResponseTrailers: (trailers) => behaviour.responseTrailers?.(stream, trailers, self) ?? CONTINUE,
        onDone: () => behaviour.done?.(stream),
      }
      return self
    },
  }
}
