import type { AddressInfo } from "node:net"
import { connect, createServer } from "node:tls"
import { expect, test } from "vitest"
import { MessageWriter } from "../../../gateway/http1/message-writer.ts"
import { Authority } from "../../support/certs.ts"
import { within } from "../../support/deadline.ts"

test("text that waits behind large pieces on a TLS socket keeps its octets", async () => {
  const { cert, key } = new Authority("test").issue({ commonName: "localhost" })
  const piece = Buffer.alloc(64 * 1024, "x")
  const tail = Buffer.from(Array.from({ length: 128 }, (_, i) => 128 + i))
  const server = createServer({ cert, key }, (socket) => {
    socket.once("data", () => {
      const writer = new MessageWriter(socket)
      writer.begin("", "plain")
      for (let i = 0; i < 8; i++) writer.bytes(piece, 0, piece.length)
      writer.bytes(tail, 0, tail.length)
      writer.end(null)
      socket.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const client = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => client.write("go"))
  const parts: Buffer[] = []
  client.on("data", (part: Buffer) => parts.push(part))
  await within(new Promise((resolve) => client.once("end", resolve)), "end of the message")
  client.destroy()
  server.close()
  const received = Buffer.concat(parts)
  expect(received.length).toBe(8 * piece.length + tail.length)
  expect(received.subarray(-tail.length).equals(tail)).toBe(true)
})
