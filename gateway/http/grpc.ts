// What of gRPC's protocol (gRPC over HTTP/2) is in a request's fields: whether it is a call, and how long its client waits.

/** gRPC limits the number of a time-out to eight digits. */
const MAX_DIGITS = 99_999_999
/** ms of a unit, by its letter's code: hours, minutes, seconds, milli-, micro- and nanoseconds. */
const UNITS: Readonly<Record<number, number>> = { 72: 3_600_000, 77: 60_000, 83: 1000, 109: 1, 117: 1e-3, 110: 1e-6 }

const GRPC = "application/grpc"

/** Whether a message of this type is gRPC's own: `application/grpc`, with or without the name of a coding. */
export function isGrpcType(type: string | undefined): boolean {
  if (type === undefined || type.length < GRPC.length) return false
  if (!type.startsWith(GRPC) && type.slice(0, GRPC.length).toLowerCase() !== GRPC) return false
  if (type.length === GRPC.length) return true
  const next = type.charCodeAt(GRPC.length)
  // "+", ";", space or tab; "-" would be gRPC-Web.
  return next === 0x2b || next === 0x3b || next === 0x20 || next === 0x09
}

/** The value of `grpc-timeout` in milliseconds, fractions and 0 included; −1 when it is malformed. */
export function parseGrpcTimeout(text: string): number {
  const digits = text.length - 1
  if (digits < 1 || digits > 8) return -1
  let number = 0
  for (let i = 0; i < digits; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  const unit = UNITS[text.charCodeAt(digits)]
  return unit === undefined ? -1 : number * unit
}

/** A time-out as `grpc-timeout` has it, rounded up to what eight digits can say; at least a millisecond. */
export function formatGrpcTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms))
  if (whole <= MAX_DIGITS) return `${whole}m`
  const seconds = Math.ceil(whole / 1000)
  if (seconds <= MAX_DIGITS) return `${seconds}S`
  const minutes = Math.ceil(seconds / 60)
  if (minutes <= MAX_DIGITS) return `${minutes}M`
  return `${Math.min(MAX_DIGITS, Math.ceil(minutes / 60))}H`
}
