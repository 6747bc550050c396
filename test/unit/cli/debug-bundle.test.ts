import { expect, test } from "vitest"
import { tar } from "../../../gateway/cli/tar.ts"

test("an archive has a header of 512 octets a file, its content padded, and an end", () => {
  const archive = tar([{ name: "a/b.txt", content: Buffer.from("hello") }], 1_700_000_000)
  expect(archive.length).toBe(512 + 512 + 1024)
  const text = (from: number, length: number): string => archive.toString("latin1", from, from + length)
  expect(text(0, 8)).toBe("a/b.txt\0")
  expect(text(124, 12)).toBe("00000000005\0")
  expect(text(257, 8)).toBe("ustar\x0000")
  expect(text(512, 6)).toBe("hello\0")
  const header = Buffer.from(archive.subarray(0, 512))
  header.fill(" ", 148, 156)
  expect(Number.parseInt(text(148, 6), 8)).toBe(header.reduce((sum, octet) => sum + octet, 0))
  for (const name of ["", "a".repeat(101), "ä"]) expect(() => tar([{ name, content: new Uint8Array() }], 0)).toThrow("can't be the name")
})
