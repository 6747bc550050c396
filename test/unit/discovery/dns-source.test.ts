import { describe, expect, test } from "vitest"
import type { EndpointConfig } from "../../../gateway/config/model.ts"
import { type DnsDiscovery, DnsSource } from "../../../gateway/discovery/dns-source.ts"
import type { LookResult } from "../../../gateway/discovery/lookup.ts"
import { MAX_ENDPOINTS } from "../../../gateway/discovery/source.ts"

const at = (...hosts: string[]): EndpointConfig[] => hosts.map((host) => ({ address: { host, port: 80 }, weight: 1 }))
const found = (ttl: number, ...hosts: string[]): LookResult => ({ kind: "found", endpoints: at(...hosts), ttl })
const miss = (kind: "empty" | "unknown" | "failed" | "timeout"): LookResult => ({ kind, reason: kind })

/** A source on a clock that stands still between its looks. */
class Played {
  readonly looks: { readonly result: string; readonly changed: boolean; readonly hosts: string }[] = []
  readonly pauses: number[] = []
  readonly source: DnsSource
  #next: (() => void) | null = null
  readonly #results: LookResult[]

  constructor(results: readonly LookResult[], refresh = 0) {
    this.#results = [...results]
    const config: DnsDiscovery = { kind: "dns", address: { host: "api", port: 80 }, family: "any", refresh, timeout: 5000, resolvers: [] }
    const look = async (): Promise<LookResult> => this.#results.shift() as LookResult
    const after = (ms: number, what: () => void): (() => void) => {
      this.pauses.push(ms)
      this.#next = what
      return () => {
        this.#next = null
      }
    }
    this.source = new DnsSource(
      "api",
      config,
      { dns: look, srv: look },
      { random: () => 0.5, after },
      {
        onLooked: (source, result, changed) =>
          this.looks.push({ result, changed, hosts: source.endpoints.map(({ address }) => address.host).join(" ") }),
      },
    )
  }

  /** Has all looks taken. */
  async run(): Promise<this> {
    await this.source.first
    while (this.#results.length > 0) {
      this.#next?.()
      for (let i = 0; i < 5; i++) await Promise.resolve()
    }
    return this
  }

  get scheduled(): boolean {
    return this.#next !== null
  }
}

describe("a source in the DNS", () => {
  test("is looked at again when its answer has run out", async () => {
    const { pauses, looks } = await new Played([found(30, "b", "a"), found(0, "a", "b"), found(60, "c")]).run()
    expect(pauses).toEqual([30_000, 1000, 60_000])
    // The order of records says nothing.
    expect(looks).toEqual([
      { result: "ok", changed: true, hosts: "a b" },
      { result: "ok", changed: false, hosts: "a b" },
      { result: "ok", changed: true, hosts: "c" },
    ])
  })

  test("keeps what is known while looks fail or the name is gone, for as long as that lasts", async () => {
    const failures = (["failed", "timeout", "unknown"] as const).map(miss)
    const { pauses, looks, source } = await new Played([found(30, "a"), ...failures, ...failures]).run()
    expect(looks.map(({ hosts }) => hosts)).toEqual(Array(7).fill("a"))
    expect(looks.map(({ result }) => result).slice(1, 4)).toEqual(["failed", "timeout", "unknown"])
    expect(pauses).toEqual([30_000, 750, 1500, 3000, 6000, 12_000, 22_500])
    expect(source.problem).toBe("unknown")
  })

  test("has no endpoints after the third answer in a row that says so, and has them again at once", async () => {
    const empty = miss("empty")
    const { looks } = await new Played([found(30, "a"), empty, empty, miss("failed"), empty, empty, empty, found(1, "b")]).run()
    expect(looks.map(({ hosts, changed }) => `${hosts}${changed ? "!" : ""}`)).toEqual(["a!", "a", "a", "a", "a", "a", "!", "b!"])
  })

  test("has a bounded number of endpoints, and says so", async () => {
    const hosts = Array.from({ length: MAX_ENDPOINTS + 1 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    const { source } = await new Played([found(30, ...hosts)]).run()
    expect(source.endpoints.length).toBe(MAX_ENDPOINTS)
    expect(source.problem).toBe("there are 1025 endpoints; 1024 are used")
  })

  test("that is closed is looked at no more", async () => {
    const played = await new Played([found(30, "a")]).run()
    expect(played.scheduled).toBe(true)
    played.source.close()
    expect(played.scheduled).toBe(false)
  })
})
