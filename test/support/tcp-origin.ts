// A service that speaks whatever a test's script says, octet by octet; every connection to it is kept for the test to look at.

import { createServer, type Server, type Socket } from "node:net"
import { within } from "./deadline.ts"
import { type Address, listen } from "./ports.ts"

export interface TcpArrival {
  readonly socket: Socket
  /** Everything received so far. */
  readonly received: () => Buffer
  /** How the gateway has ended the connection; null while it hasn't. */
  readonly ending: () => "end" | "reset" | null
}

export class TcpOrigin {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #script: (arrival: TcpArrival) => void
  /** Every connection, oldest first. */
  readonly arrivals: TcpArrival[] = []
  #address: Address = { host: "127.0.0.1", port: 0 }

  private constructor(script: (arrival: TcpArrival) => void) {
    this.#script = script
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket))
  }

  static async start(script: (arrival: TcpArrival) => void): Promise<TcpOrigin> {
    const origin = new TcpOrigin(script)
    origin.#address = await listen(origin.#server)
    return origin
  }

  /** Sends back what it gets, and ends when the other side does. */
  static echo(greeting = ""): Promise<TcpOrigin> {
    return TcpOrigin.start(({ socket }) => {
      if (greeting !== "") socket.write(greeting)
      socket.on("data", (bytes: Buffer) => {
        if (!socket.write(bytes)) socket.pause()
      })
      socket.on("drain", () => socket.resume())
      socket.on("end", () => socket.end())
    })
  }

  get port(): number {
    return this.#address.port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size
  }

  async stop(): Promise<void> {
    const done = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await within(done, "close of the origin")
  }

  #accept(socket: Socket): void {
    const chunks: Buffer[] = []
    let ending: "end" | "reset" | null = null
    this.#sockets.add(socket)
    socket.on("data", (bytes: Buffer) => chunks.push(bytes))
    socket.on("end", () => (ending ??= "end"))
    socket.on("error", () => (ending ??= "reset"))
    socket.on("close", () => {
      ending ??= "reset"
      this.#sockets.delete(socket)
    })
    const arrival = { socket, received: () => Buffer.concat(chunks), ending: () => ending }
    this.arrivals.push(arrival)
    this.#script(arrival)
  }
}
