// Takes, gives or echoes octets: a connection's first octet says which. Run as a child by origins.ts: `node octet-origin.ts PORT`.

import { createServer, type Socket } from "node:net"
import { ECHO, TAKE, writeSize } from "./octets.ts"

/** Reads to the end, then tells how many octets came. */
function take(socket: Socket, first: number): void {
  let received = first
  socket.on("data", (chunk: Buffer) => {
    received += chunk.length
  })
  socket.on("end", () => socket.end(String(received)))
}

const block = Buffer.alloc(writeSize, "x")

/** Writes until the other side is gone. */
function give(socket: Socket): void {
  const write = (): void => {
    while (!socket.destroyed && socket.write(block));
  }
  socket.on("drain", write)
  write()
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on("error", () => {})
  socket.once("data", (chunk: Buffer) => {
    const rest = chunk.subarray(1)
    if (chunk[0] === TAKE) return take(socket, rest.length)
    if (chunk[0] !== ECHO) return give(socket)
    socket.write(rest)
    socket.pipe(socket)
  })
})
server.listen(Number(process.argv[2]), "127.0.0.1")
