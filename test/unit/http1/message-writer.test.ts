import type { Socket } from "node:net"
import { describe, expect, test } from "vitest"
import { MessageWriter } from "../../../gateway/http1/message-writer.ts"

/** Takes writes as a socket does: at once, or, while it is `stuck`, later. */
class Peer {
  writableLength = 0
  stuck = false
  taken = ""
  readonly waiting: (string | Buffer)[] = []

  write(bytes: string | Buffer): boolean {
    if (!this.stuck) {
      this.taken += bytes.toString("latin1")
      return true
    }
    this.waiting.push(bytes)
    this.writableLength += bytes.length
    return false
  }

  /** Takes what waits, as it is now. */
  drain(): void {
    for (const bytes of this.waiting.splice(0)) this.taken += bytes.toString("latin1")
    this.writableLength = 0
    this.stuck = false
  }
}

const HEAD = "HTTP/1.1 200 OK\r\n\r\n"
const LARGE = 40_000

function started(transfer: "plain" | "encode" = "plain"): { peer: Peer; writer: MessageWriter } {
  const peer = new Peer()
  const writer = new MessageWriter(peer as unknown as Socket)
  writer.begin(HEAD, transfer)
  return { peer, writer }
}

describe("large pieces of a body", () => {
  test("leave with the head before them, as data or as a chunk", () => {
    const piece = Buffer.alloc(LARGE, "a")
    const plain = started()
    plain.writer.bytes(piece, 1, LARGE)
    plain.writer.end(null)
    expect(plain.peer.taken).toBe(HEAD + "a".repeat(LARGE - 1))
    expect(plain.writer.retract()).toBe(false)
    const chunked = started("encode")
    chunked.writer.bytes(piece, 0, LARGE)
    chunked.writer.end(null)
    expect(chunked.peer.taken).toBe(`${HEAD}${LARGE.toString(16)}\r\n${"a".repeat(LARGE)}\r\n0\r\n\r\n`)
  })

  test("are the octets they were when handed over, whatever becomes of their buffer and whoever writes meanwhile", () => {
    const piece = Buffer.alloc(LARGE, "a")
    const slow = started()
    slow.peer.stuck = true
    slow.writer.bytes(piece, 0, LARGE)
    expect(slow.writer.writable).toBe(false)
    piece.fill("b")
    slow.writer.bytes(piece, 0, LARGE)
    piece.fill("c")
    const quick = started()
    quick.writer.bytes(piece, 0, LARGE)
    quick.writer.bytes(piece, 0, 10_000)
    slow.peer.drain()
    expect(slow.peer.taken).toBe(HEAD + "a".repeat(LARGE) + "b".repeat(LARGE))
    expect(quick.peer.taken).toBe(HEAD + "c".repeat(LARGE + 10_000))
  })

  test("behind others that wait hold no more memory than they need", () => {
    const { peer, writer } = started()
    peer.stuck = true
    for (let i = 0; i < 20; i++) writer.bytes(Buffer.alloc(LARGE), 0, 3000)
    writer.flush()
    const held = peer.waiting.reduce((sum, bytes) => sum + (typeof bytes === "string" ? bytes.length : bytes.buffer.byteLength), 0)
    expect(held).toBeLessThan(200_000)
  })

  test("may be larger than any buffer there is", () => {
    const { peer, writer } = started()
    writer.bytes(Buffer.alloc(1_000_000, "a"), 0, 1_000_000)
    writer.bytes(Buffer.alloc(LARGE, "b"), 0, LARGE)
    expect(peer.taken).toBe(HEAD + "a".repeat(1_000_000) + "b".repeat(LARGE))
  })
})
