// What an endpoint tells for as long as somebody listens, as the body of a response: as much at a time as the other end takes.

/** Where the pieces come from. */
export interface TextSource {
  /** The next piece, when there is one; null: there is no more. */
  next(): Promise<string | null>
  /** Nobody listens any more. */
  cancel(): void
}

/** `signal`: of the request, for when its connection ends without having been read from. */
function streamOf(source: TextSource, signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const gone = (): void => source.cancel()
  signal.addEventListener("abort", gone, { once: true })
  if (signal.aborted) gone()
  let cancelled = false
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const piece = await source.next()
        if (cancelled) return
        if (piece !== null) return controller.enqueue(encoder.encode(piece))
        signal.removeEventListener("abort", gone)
        controller.close()
      },
      cancel: () => {
        cancelled = true
        signal.removeEventListener("abort", gone)
        source.cancel()
      },
    },
    { highWaterMark: 0 },
  )
}

/** The answer of a stream of text; `source` null: its head alone. The types of described answers know none that is a stream. */
export function streamed(source: TextSource | null, type: string, signal: AbortSignal): never {
  return new Response(source === null ? null : streamOf(source, signal), { headers: { "content-type": type } }) as never
}
