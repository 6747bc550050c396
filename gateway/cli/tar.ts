// Writes archives in the ustar format (POSIX.1-1988): files with short names, as a bundle of diagnostics has them.

const BLOCK = 512

export interface TarFile {
  /** At most 100 octets of ASCII. */
  readonly name: string
  readonly content: Uint8Array
}

/** `time`: seconds since the epoch, of every file. */
export function tar(files: readonly TarFile[], time: number): Buffer {
  const parts: Buffer[] = []
  for (const { name, content } of files) {
    const padding = (BLOCK - (content.length % BLOCK)) % BLOCK
    parts.push(header(name, content.length, time), Buffer.from(content), Buffer.alloc(padding))
  }
  parts.push(Buffer.alloc(2 * BLOCK))
  return Buffer.concat(parts)
}

function header(name: string, size: number, time: number): Buffer {
  if (!/^[!-~]{1,100}$/.test(name)) throw new Error(`${JSON.stringify(name)} can't be the name of a file in an archive`)
  const block = Buffer.alloc(BLOCK)
  const number = (value: number, at: number, width: number): void => {
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1")
  }
  block.write(name, 0, "latin1")
  number(0o600, 100, 8)
  number(0, 108, 8)
  number(0, 116, 8)
  number(size, 124, 12)
  number(Math.floor(time), 136, 12)
  block.write("0", 156, "latin1")
  block.write("ustar\x0000", 257, "latin1")
  // Its sum counts its own field as spaces.
  block.fill(" ", 148, 156)
  block.write(
    `${block
      .reduce((sum, octet) => sum + octet, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
    "latin1",
  )
  return block
}
