// The messages of grpc.health.v1.Health/Check.

import { Buffer } from "node:buffer"
import { MessageWriter, readMessage } from "./protobuf.ts"

export const HEALTH_CHECK_PATH = "/grpc.health.v1.Health/Check"

const SERVICE = 1
const STATUS = 1
const SERVING = 1

/** HealthCheckRequest: `service` "" asks about the whole server. */
export function healthCheckRequest(service: string): Buffer {
  return new MessageWriter().octets(SERVICE, service).take()
}

/** Whether a HealthCheckResponse says SERVING. */
export function isServing(response: Uint8Array): boolean {
  const bytes = Buffer.from(response.buffer, response.byteOffset, response.length)
  return readMessage(bytes)?.number(STATUS) === SERVING
}
