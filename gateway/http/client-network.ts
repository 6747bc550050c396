// Whose address an address is: those of IPv6 are counted by their network, since a client has as many as it likes.

/** An IPv4 address as it is, also out of its form within IPv6; of an IPv6 address the first four groups, as `2001:db8:0:7`. */
export function clientNetwork(address: string): string {
  // IPv4 first: it is what comes most.
  if (!address.includes(":") || address.includes(".")) return address.slice(address.lastIndexOf(":") + 1)
  const gap = address.indexOf("::")
  const head = gap === -1 ? address : address.slice(0, gap)
  const groups = head === "" ? [] : head.split(":")
  if (gap !== -1 && groups.length < 4) {
    const tail = address.slice(gap + 2)
    const rest = tail === "" ? [] : tail.split(":")
    while (groups.length + rest.length < 8) groups.push("0")
    groups.push(...rest)
  }
  return groups.slice(0, 4).join(":")
}
