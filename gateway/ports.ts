// Makes sure, before workers bind a listener together, that its address is free: with SO_REUSEPORT the kernel would let
// two gateways share it in silence. Finds the number for port 0.

import { type AddressInfo, createServer } from "node:net"
import type { Address } from "./config/model.ts"

/** A port held until it is released: two listeners that ask for port 0 must not be told the same one. */
export interface Claim {
  readonly port: number
  release(): Promise<void>
}

/** Claims the port `address` can be bound to; rejects with what is wrong and what to do. */
export function claimPort(listener: string, address: Address): Promise<Claim> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", (error: Error & { code?: string }) => {
      const where = `listener ${listener}: can't listen on ${address.host}:${address.port}`
      if (error.code === "EADDRINUSE")
        reject(new Error(`${where}: the address is in use; stop the other program or change listeners[].address`))
      else if (error.code === "EACCES") reject(new Error(`${where}: not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE`))
      else if (error.code === "EADDRNOTAVAIL") reject(new Error(`${where}: this machine has no such address`))
      else reject(new Error(`${where}: ${error.message}`))
    })
    server.listen({ host: address.host, port: address.port }, () => {
      const { port } = server.address() as AddressInfo
      resolve({ port, release: () => new Promise((released) => server.close(() => released())) })
    })
  })
}
