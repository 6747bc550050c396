// The memory that all connections of a worker share: what upstream sockets read into, and what large pieces of bodies are
// put together in to be written. It stays in the processor's cache, and nothing of it is garbage after each read.

/** Octets a runtime reads at once: 64 KiB of a body and the head before it. */
const READ_SIZE = 72 * 1024
/** Room for what was read, behind a head that has grown on its way. */
const WRITE_SIZE = READ_SIZE + 8 * 1024

/** What upstream sockets read into. Its octets are good until the callback that was told of them returns. */
export const readBuffer: Buffer = Buffer.allocUnsafeSlow(READ_SIZE)

/** Buffers kept for the next writes. HTTP/1 needs one at a time; HTTP/2 one for each connection with frames to send. */
const SPARES = 16

/** Hands out buffers to write from, again and again: to the next as soon as the system has taken what the last wrote. */
class WriteBuffers {
  readonly #spares: Buffer[] = []

  /** A buffer of at least `size` octets; {@link giveBack} it when they have left. One whose octets wait is left to its writer. */
  take(size: number): Buffer {
    if (size > WRITE_SIZE) return Buffer.allocUnsafeSlow(size)
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(WRITE_SIZE)
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === WRITE_SIZE && this.#spares.length < SPARES) this.#spares.push(buffer)
  }
}

/** The worker's. */
export const writeBuffers: WriteBuffers = new WriteBuffers()
