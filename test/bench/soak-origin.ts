// The endpoint of the soak runs, a child process: `/echo/TOKEN/SIZE` answers with SIZE octets made of the token; a request with
// a body gets that body back. Prints the port it got. Argument: the port to bind, 0 = any.

import { createServer, type Socket } from "node:net"
import { parseBody, parseHead, requestFraming } from "../support/http-message.ts"
import { listen } from "../support/ports.ts"
import { tokenBody } from "./token.ts"

function answer(socket: Socket, target: string, body: Buffer): void {
  const [, , token, sizeText] = target.split("/")
  const size = Number(sizeText)
  const bytes = body.length > 0 ? body : tokenBody(token, size)
  // Both framings: even sizes have a length, odd ones come in two chunks.
  if (size % 2 === 0) {
    socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nx-token: ${token}\r\ncontent-length: ${bytes.length}\r\n\r\n`), bytes]))
    return
  }
  const half = bytes.length >> 1
  const parts = [bytes.subarray(0, half), bytes.subarray(half)].filter((part) => part.length > 0)
  const chunks = parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")])
  socket.write(
    Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\nx-token: ${token}\r\ntransfer-encoding: chunked\r\n\r\n`),
      ...chunks,
      Buffer.from("0\r\n\r\n"),
    ]),
  )
}

const server = createServer({ noDelay: true }, (socket) => {
  let unread: Buffer = Buffer.alloc(0)
  socket.on("data", (chunk: Buffer) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk])
    try {
      for (;;) {
        const head = parseHead(unread)
        if (head === null) return
        const body = parseBody(unread.subarray(head.length), requestFraming(head), false)
        if (body === null) return
        answer(socket, head.startLine.split(" ")[1], body.bytes)
        unread = unread.subarray(head.length + body.length)
      }
    } catch {
      socket.destroy()
    }
  })
  socket.on("error", () => {})
})
const { port } = await listen(server, Number(process.argv[2] ?? 0))
console.log(port)
