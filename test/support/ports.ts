// TCP ports for tests. Port 0 is better wherever the server can say which it got.

import { createServer, type Server } from "node:net"

export interface Address {
  readonly host: string
  readonly port: number
}

/** A port of 127.0.0.1 that was free a moment ago: for endpoints that nothing answers on, or servers that can't take port 0. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const { port } = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Binds a server and gives the address; port 0 = any. `host`: another address of this machine. */
export function listen(server: Server, port: number = 0, host: string = "127.0.0.1"): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.removeListener("error", reject)
      const address = server.address()
      if (address === null || typeof address === "string") reject(new Error("not a TCP server"))
      else resolve({ host, port: address.port })
    })
  })
}
