// Writes and reads as fast as the proxy lets it, half of the connections each. Run as a child by load.ts with its task as JSON;
// prints one RESULT line.

import { connect } from "node:net"
import { connectionsEachWay, GIVE, TAKE, writeSize } from "./octets.ts"

const { port, seconds } = JSON.parse(process.argv[2]) as { port: number; seconds: number }
const block = Buffer.alloc(writeSize, "x")
let octets = 0
let errors = 0
let open = 2 * connectionsEachWay
let finished = false
const start = performance.now()

function closed(): void {
  if (!finished) errors++
  if (--open === 0) report()
}

/** Sends to the end, and compares what the origin says it got. */
function writer(): () => void {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
  let sent = 0
  let answer = ""
  const write = (): void => {
    while (!finished && !socket.destroyed) {
      sent += writeSize
      if (!socket.write(block)) return
    }
  }
  socket.on("connect", () => {
    socket.write(Uint8Array.of(TAKE))
    write()
  })
  socket.on("drain", write)
  socket.on("data", (chunk: Buffer) => {
    answer += chunk.toString("latin1")
  })
  socket.on("error", () => errors++)
  socket.on("end", () => socket.destroy())
  socket.on("close", () => {
    octets += sent
    if (answer !== String(sent)) errors++
    closed()
  })
  return () => socket.end()
}

function reader(): () => void {
  const socket = connect({
    port,
    host: "127.0.0.1",
    noDelay: true,
    onread: {
      buffer: new Uint8Array(writeSize),
      callback: (size) => {
        octets += size
        return true
      },
    },
  })
  socket.on("connect", () => socket.write(Uint8Array.of(GIVE)))
  socket.on("error", () => errors++)
  socket.on("close", closed)
  return () => socket.destroy()
}

function report(): void {
  clearTimeout(limit)
  const duration = (performance.now() - start) / 1000
  console.log(`RESULT ${JSON.stringify({ count: octets, duration, errors })}`)
}

const ends: (() => void)[] = []
for (let i = 0; i < connectionsEachWay; i++) ends.push(writer(), reader())
setTimeout(() => {
  finished = true
  for (const end of ends) end()
}, seconds * 1000)
// Connections that don't end, end with this.
const limit = setTimeout(
  () => {
    errors += open
    report()
    process.exit()
  },
  (seconds + 5) * 1000,
)
