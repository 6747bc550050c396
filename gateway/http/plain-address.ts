// Addresses of sockets in one spelling.

/** An IPv4 address that a dual-stack socket shows as IPv6 in its own form; "" when the socket is gone. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return ""
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address
}
