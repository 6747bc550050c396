// Finds what belongs to the server name a TLS client asks for: the exact name, then the longest wildcard that holds it.

export class ServerNames<T> {
  readonly #exact = new Map<string, T>()
  /** By suffix, with its dot. */
  readonly #wildcards = new Map<string, T>()

  /** Each target with its hosts: lower case, exact or `*.suffix`, none of them twice. */
  constructor(entries: Iterable<readonly [hosts: readonly string[], target: T]>) {
    for (const [hosts, target] of entries) {
      for (const host of hosts) {
        if (host.startsWith("*.")) this.#wildcards.set(host.slice(1), target)
        else this.#exact.set(host, target)
      }
    }
  }

  /** `name` in lower case; "" has no target. */
  find(name: string): T | null {
    const exact = this.#exact.get(name)
    if (exact !== undefined) return exact
    if (this.#wildcards.size === 0) return null
    // From the left, so the longest suffix comes first. `*` stands for at least one label: a name never begins with a dot.
    for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
      const found = this.#wildcards.get(name.slice(dot))
      if (found !== undefined) return found
    }
    return null
  }
}
