// The memory that all connections of a worker share: what upstream sockets read into, and what large pieces of bodies are
// put together in to be written. It stays in the processor's cache, and nothing of it is garbage after each read.

/** Octets a runtime reads at once: 64 KiB of a body and the head before it. */
const READ_SIZE = 72 * 1024
/** Room for what was read, behind a head that has grown on its way. */
const WRITE_SIZE = READ_SIZE + 8 * 1024

/** What upstream sockets read into. Its octets are good until the callback that was told of them returns. */
export const readBuffer: Buffer = Buffer.allocUnsafeSlow(READ_SIZE)

/** Hands out one buffer to write from, again and again: to the next as soon as the system has taken what the last wrote. */
export class WriteBuffers {
  #spare: Buffer | null = null

  /** A buffer of at least `size` octets; {@link giveBack} it when they have left. One whose octets wait is left to its writer. */
  take(size: number): Buffer {
    const spare = this.#spare
    if (spare === null || size > WRITE_SIZE) return Buffer.allocUnsafeSlow(Math.max(size, WRITE_SIZE))
    this.#spare = null
    return spare
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === WRITE_SIZE) this.#spare = buffer
  }
}

/** The worker's. */
export const writeBuffers: WriteBuffers = new WriteBuffers()
