// Whether only this machine can reach an address.

import { isIP } from "node:net"

/** `host`: an IP address or a name, without brackets. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase()
  if (name === "localhost" || name === "::1" || name === "0:0:0:0:0:0:0:1") return true
  return isIP(name) === 4 ? name.startsWith("127.") : /^::ffff:127\.\d+\.\d+\.\d+$/.test(name)
}
