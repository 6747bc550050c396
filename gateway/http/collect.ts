// A stream of octets as one piece, for the few places that are not on the path of traffic.

/** All octets of `stream`; null when there are more than `limit`, in which case the rest is not read. */
export async function collect(stream: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = []
  let length = 0
  // Leaving the loop cancels the stream.
  for await (const part of stream as unknown as AsyncIterable<Uint8Array>) {
    length += part.length
    if (length > limit) return null
    parts.push(part)
  }
  const octets = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    octets.set(part, at)
    at += part.length
  }
  return octets
}
