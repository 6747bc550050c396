// Writing to standard output or error without the thread, or the process's exit, waiting for whoever reads it.

import { constants, fstatSync, openSync, write, writeSync } from "node:fs"

/** Starts to write bytes, and calls back with how many were; always later. */
export type WriteBytes = (bytes: Uint8Array, done: (error: { readonly code?: string } | null, written: number) => void) => void

// PIPE_BUF on Linux: as much as is written to a pipe whole or not at all. Larger writes that stop half-way are reported as
// EAGAIN on Deno, without the octets that went.
const ATOMIC = 4096
// Octets written before other work of the thread gets its turn.
const TURN = 65536

/**
 * The best way to write to a descriptor. A pipe is opened once more, non-blocking, which the others who share it don't
 * notice: a blocked write would stop the thread on Deno, and `process.exit` on Node. What is not a pipe is written to
 * asynchronously as it is.
 */
export function descriptorWriter(descriptor: number): WriteBytes {
  const pipe = openPipe(descriptor)
  if (pipe === -1) return (bytes, done) => write(descriptor, bytes, 0, bytes.byteLength, null, (error, written) => done(error, written))
  return (bytes, done) => {
    const limit = Math.min(bytes.byteLength, TURN)
    let written = 0
    let failure: { code?: string } | null = null
    try {
      while (written < limit) written += writeSync(pipe, bytes, written, Math.min(ATOMIC, limit - written))
    } catch (error) {
      if (written === 0) failure = error as { code?: string }
    }
    setImmediate(done, failure, written)
  }
}

/** A non-blocking descriptor of the pipe behind `descriptor`; −1 when it is no pipe, or has no reader any more. */
function openPipe(descriptor: number): number {
  try {
    if (!fstatSync(descriptor).isFIFO()) return -1
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return -1
  }
}
