// What a request asks for in the header that activates faults: `delay=500ms, abort=503`. Its route decides what it gets of it.

import { parseDuration, parseSize } from "../../config/units.ts"
import { grpcCodes, httpStatusOfGrpc } from "../../http/grpc-status.ts"
import type { AskedFaults } from "../../resilience/faults.ts"

/** Characters of a value that is read. */
const MAX_VALUE = 256
/** Values that ask for whatever the route has. */
const ALL: ReadonlySet<string> = new Set(["", "1", "on", "true"])
const STATUS = /^[45]\d\d$/

/** Null: for everything the route has. What isn't understood in it asks for nothing. */
export function readFaultHeader(value: string): AskedFaults | null {
  const asked = { delay: 0, status: 0, grpcStatus: -1, reset: false, rate: 0 }
  if (value.length > MAX_VALUE) return asked
  if (ALL.has(value.trim().toLowerCase())) return null
  for (const entry of value.split(",")) {
    const equals = entry.indexOf("=")
    const kind = (equals === -1 ? entry : entry.slice(0, equals)).trim()
    const text = equals === -1 ? "" : entry.slice(equals + 1).trim()
    if (kind === "reset" && equals === -1) asked.reset = true
    else if (kind === "delay") {
      const ms = parseDuration(text, false, true)
      if (typeof ms === "number") asked.delay = ms
    } else if (kind === "bandwidth") {
      const rate = parseSize(text, 1, Number.MAX_SAFE_INTEGER)
      if (typeof rate === "number") asked.rate = rate
    } else if (kind === "abort") {
      const code = grpcCodes.indexOf(text as (typeof grpcCodes)[number])
      if (STATUS.test(text)) asked.status = Number(text)
      else if (code > 0) {
        asked.status = httpStatusOfGrpc(code)
        asked.grpcStatus = code
      }
    }
  }
  return asked
}
