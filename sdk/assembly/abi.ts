// The numbers of Proxy-Wasm 0.2.1 that this library uses, under the specification's names.

export const enum LogLevel {
  TRACE = 0,
  DEBUG = 1,
  INFO = 2,
  WARN = 3,
  ERROR = 4,
  CRITICAL = 5,
}

export const enum Status {
  OK = 0,
  NOT_FOUND = 1,
  BAD_ARGUMENT = 2,
  SERIALIZATION_FAILURE = 3,
  PARSE_FAILURE = 4,
  INVALID_MEMORY_ACCESS = 6,
  EMPTY = 7,
  CAS_MISMATCH = 8,
  INTERNAL_FAILURE = 10,
  UNIMPLEMENTED = 12,
}

export const enum BufferType {
  HTTP_REQUEST_BODY = 0,
  HTTP_RESPONSE_BODY = 1,
  HTTP_CALL_RESPONSE_BODY = 4,
  GRPC_CALL_MESSAGE = 5,
  PLUGIN_CONFIGURATION = 7,
}

export const enum MapType {
  HTTP_REQUEST_HEADERS = 0,
  HTTP_REQUEST_TRAILERS = 1,
  HTTP_RESPONSE_HEADERS = 2,
  HTTP_RESPONSE_TRAILERS = 3,
  HTTP_CALL_RESPONSE_HEADERS = 6,
  HTTP_CALL_RESPONSE_TRAILERS = 7,
}

export const enum StreamType {
  HTTP_REQUEST = 0,
  HTTP_RESPONSE = 1,
}

export const enum MetricType {
  COUNTER = 0,
  GAUGE = 1,
  HISTOGRAM = 2,
}

export const enum Action {
  CONTINUE = 0,
  PAUSE = 1,
}
