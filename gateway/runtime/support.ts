// Which runtimes can run the gateway.

/** Why this runtime can't, and what to do; null when it can. `versions`: as `process.versions`. */
export function unsupportedRuntime(versions: Readonly<Record<string, string | undefined>>): string | null {
  if (versions.bun !== undefined || versions.deno !== undefined) return null
  const [major, minor] = (versions.node ?? "0.0").split(".").map(Number)
  // Older ones can't share a port among threads (`reusePort`), nor run TypeScript as it is.
  if (major > 22 || (major === 22 && minor >= 18)) return null
  return `Node ${versions.node} can't run the gateway: it needs Node 22.18 or newer, Bun or Deno`
}
