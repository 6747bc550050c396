import { expect, test } from "vitest"
import { hashText } from "../../../gateway/http/text-hash.ts"

// Appleby's MurmurHash3_x86_32 gives these.
test.each([
  ["", 0, 0],
  ["", 1, 0x514e28b7],
  ["test", 0, 0xba6bd213],
  ["Hello, world!", 0x9747b28c, 0x24884cba],
  ["The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd],
  ["a", 0x9747b28c, 0x7fa09ea6],
  ["ab", 0x9747b28c, 0x74875592],
  ["abc", 0x9747b28c, 0xc84a62dd],
])("the hash of %j with seed %i is the published one", (text, seed, hash) => {
  expect(hashText(text, seed)).toBe(hash)
})

test("texts that differ little fall evenly", () => {
  const buckets = new Array<number>(16).fill(0)
  for (let i = 0; i < 16_000; i++) buckets[hashText(`user-${i}`, 7) >>> 28]++
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150)
})
