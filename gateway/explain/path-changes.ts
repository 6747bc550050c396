// Says how a path was brought into its one spelling.

/** What of `asked` is spelled otherwise in `normal`, a rule each; empty where it is the same. */
export function pathChanges(asked: string, normal: string): string[] {
  if (asked === normal) return []
  const changes: string[] = []
  const segments = asked.replace(/%2e/gi, ".").split(/\/|\\|%2f|%5c/i)
  if (segments.some((segment) => segment === "." || segment === "..")) changes.push("dot segments were resolved")
  if (/\/\//.test(asked) && !/\/\//.test(normal)) changes.push("repeated slashes were merged")
  if (/%(?:2d|2e|5f|7e|3[0-9]|[46][1-9a-f]|[57][0-9a])/i.test(asked)) changes.push("escapes of unreserved characters were decoded")
  if (/%(?:[a-f][0-9a-fA-F]|[0-9A-F][a-f])/.test(asked)) changes.push("escapes are in upper case")
  if (/\\/.test(asked) && !/\\/.test(normal)) changes.push("backslashes became slashes")
  if (/%2f/i.test(asked) && !/%2F/.test(normal)) changes.push("encoded slashes were decoded")
  if (/%5c/i.test(asked) && !/%5C/.test(normal)) changes.push("encoded backslashes were decoded")
  if (/["<>[\]^`{|}\x80-\uffff]/.test(asked)) changes.push("octets that no path may have were escaped")
  return changes
}
