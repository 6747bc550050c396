// Makes sure, before workers bind a listener together, that its address is free: with SO_REUSEPORT the kernel would let
// two gateways share it in silence. Finds the number for port 0.

import { type AddressInfo, createServer } from "node:net"
import type { Address, ListenerConfig } from "../config/model.ts"

/** The listeners in force, and the ports they have. */
export interface PortsInForce {
  readonly config: { readonly listeners: readonly ListenerConfig[] }
  readonly ports: Readonly<Record<string, number>>
}

/**
 * Ports of `listeners` by name. Those that stay at their address keep theirs; the others are claimed together, and free again
 * when this resolves. Rejects with what is wrong and what to do.
 */
export async function claimPorts(listeners: readonly ListenerConfig[], before: PortsInForce | null): Promise<Record<string, number>> {
  const ports: Record<string, number> = {}
  const claims: Claim[] = []
  try {
    for (const { name, address } of listeners) {
      const old = before?.config.listeners.find((other) => other.name === name)
      if (before !== null && old !== undefined && old.address.host === address.host && old.address.port === address.port) {
        ports[name] = before.ports[name]
        continue
      }
      const claim = await claimPort(name, address)
      claims.push(claim)
      ports[name] = claim.port
    }
  } finally {
    await Promise.all(claims.map((claim) => claim.release()))
  }
  return ports
}

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
