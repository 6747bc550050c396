// Octets to strings, one character an octet. The slice method of Buffer is the quick way on all three runtimes, and
// missing from the published types.

interface Latin1Sliceable {
  latin1Slice(start?: number, end?: number): string
}

/** `buffer[start, end)` as a latin1 string. */
export function latin1(buffer: Buffer, start: number, end: number): string {
  return (buffer as unknown as Latin1Sliceable).latin1Slice(start, end)
}
