import { Buffer } from "node:buffer"
import { expect, test } from "vitest"
import type { UpstreamStream } from "../../../gateway/http/exchange.ts"
import { ReplayBuffer } from "../../../gateway/proxy/replay-buffer.ts"

/** What `buffer` sends, write by write. */
function sent(buffer: ReplayBuffer): string[] {
  const writes: string[] = []
  const sendBytes = (bytes: Buffer, from: number, to: number): number => writes.push(bytes.toString("latin1", from, to))
  buffer.sendTo({ sendBytes } as unknown as UpstreamStream)
  return writes
}

test("a body that came octet by octet leaves in one write", () => {
  const buffer = new ReplayBuffer()
  const body = Buffer.from(Array.from({ length: 64 * 1024 }, (_, i) => i & 127))
  for (let i = 0; i < body.length; i++) buffer.keep(body, i, i + 1, false)
  expect([buffer.whole, sent(buffer)]).toEqual([true, [body.toString("latin1")]])
})

test("what is kept is a copy", () => {
  const buffer = new ReplayBuffer()
  const scratch = Buffer.from("abc")
  buffer.keep(scratch, 0, 2, false)
  scratch.fill("x")
  buffer.keep(scratch, 0, 1, false)
  expect([sent(buffer), sent(new ReplayBuffer())]).toEqual([["abx"], []])
})

test("a body that grows too long is given up, but not one that nobody has yet", () => {
  const body = Buffer.alloc(40_000, "x")
  const needed = new ReplayBuffer()
  needed.keep(body, 0, body.length, false)
  needed.keep(body, 0, body.length, true)
  expect([needed.whole, sent(needed)[0].length]).toEqual([true, 80_000])
  needed.keep(body, 0, 1, false)
  expect([needed.whole, sent(needed)]).toEqual([false, []])
})
