import type { Answer } from "dns-packet"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import type { LookupConfig } from "../../../gateway/config/discovery-model.ts"
import { DnsClient } from "../../../gateway/discovery/dns-client.ts"
import { type LookResult, Lookup } from "../../../gateway/discovery/lookup.ts"
import { SystemDns } from "../../../gateway/discovery/system-dns.ts"
import { DnsServer, type Reply } from "../../support/dns-server.ts"

let server: DnsServer
/** By type and name; what is not in it does not exist. */
let zone: Record<string, Reply | null>
const client = new DnsClient(() => performance.now())

beforeAll(async () => {
  server = await DnsServer.start(({ type, name }) => (`${type} ${name}` in zone ? zone[`${type} ${name}`] : { code: "NXDOMAIN" }))
})

beforeEach(() => {
  zone = {}
  server.asked.length = 0
})

afterAll(() => {
  client.close()
  server.stop()
})

const a = (name: string, data: string, ttl = 60): Answer => ({ type: "A", name, ttl, data })
const aaaa = (name: string, data: string, ttl = 60): Answer => ({ type: "AAAA", name, ttl, data })
const cname = (name: string, data: string, ttl = 60): Answer => ({ type: "CNAME", name, ttl, data })
const srv = (target: string, port: number, priority = 0, weight = 1, ttl = 60): Answer => ({
  type: "SRV",
  name: "_http._tcp.api",
  ttl,
  data: { target, port, priority, weight },
})

function lookup(config: Partial<LookupConfig> = {}): Lookup {
  const means = { client, system: new SystemDns("/nonexistent", "/nonexistent"), now: () => performance.now() }
  return new Lookup({ family: "any", refresh: 0, timeout: 5000, resolvers: [server.address], ...config }, means)
}

function shown(result: LookResult): string {
  if (result.kind !== "found") return `${result.kind}: ${result.reason}`
  const endpoints = result.endpoints.map(({ address, weight, priority = 0 }) => `${address.host}:${address.port}*${weight}^${priority}`)
  return `${endpoints.join(" ")} for ${result.ttl}s`
}

const dns = async (name: string, config: Partial<LookupConfig> = {}): Promise<string> =>
  shown(await lookup(config).dns({ host: name, port: 80 }))
const asked = (): string => server.asked.map(({ type, name }) => `${type} ${name}`).join(", ")

describe("addresses of a name", () => {
  test("are those of IPv4, which are asked for alone", async () => {
    zone = { "A api": { answers: [a("api", "10.0.0.1", 30), a("api", "10.0.0.2", 20)] }, "AAAA api": { answers: [aaaa("api", "fd00::1")] } }
    expect(await dns("api")).toBe("10.0.0.1:80*1^0 10.0.0.2:80*1^0 for 20s")
    expect(asked()).toBe("A api")
  })

  test("are those of IPv6 where there are no others, or no others are wanted", async () => {
    zone = {
      "A six": {},
      "AAAA six": { answers: [aaaa("six", "fd00::1")] },
      "A both": { answers: [a("both", "10.0.0.1")] },
      "AAAA both": { answers: [aaaa("both", "fd00::2")] },
    }
    expect(await dns("six")).toBe("fd00::1:80*1^0 for 60s")
    expect(await dns("six", { family: 4 })).toBe("empty: six has no A record")
    expect(await dns("both", { family: 6 })).toBe("fd00::2:80*1^0 for 60s")
  })

  test("are none when the name has none, and unknown when there is no such name", async () => {
    zone = { "A bare": {}, "AAAA bare": {} }
    expect(await dns("bare")).toBe("empty: bare has no AAAA record")
    expect(await dns("gone")).toBe("unknown: there is no name gone")
    expect(asked()).toBe("A bare, AAAA bare, A gone")
  })

  test("are found behind aliases, in one answer or in several", async () => {
    zone = {
      "A api": { answers: [cname("api", "web", 40), cname("web", "far", 5)] },
      "A far": { answers: [cname("far", "host"), a("host", "10.0.0.1", 50)] },
    }
    expect(await dns("api")).toBe("10.0.0.1:80*1^0 for 5s")
    expect(asked()).toBe("A api, A far")
  })

  test("are not looked for without end", async () => {
    for (let i = 0; i < 20; i++) zone[`A a${i}`] = { answers: [cname(`a${i}`, `a${i + 1}`)] }
    expect(await dns("a0")).toBe("failed: a0 is an alias of an alias, and so on without end")
    expect(server.asked.length).toBe(8)
    zone = { "A odd": { answers: [cname("odd", "no name!")] } }
    expect(await dns("odd")).toBe("failed: odd is an alias of what is no name")
  })

  test("of localhost are known without a server", async () => {
    expect(await dns("localhost")).toBe("127.0.0.1:80*1^0 for 5s")
    expect(await dns("localhost", { family: 6 })).toBe("::1:80*1^0 for 5s")
    expect(asked()).toBe("")
  })
})

describe("hosts of SRV records", () => {
  test("have the addresses that came with them, and others are looked up", async () => {
    zone = {
      "SRV _http._tcp.api": {
        answers: [srv("one", 81, 20, 5), srv("two", 82, 10, 3, 9), srv("three", 83, 10, 3)],
        additionals: [a("one", "10.0.0.1")],
      },
      "A two": { answers: [a("two", "10.0.0.2", 30)] },
      "A three": { answers: [cname("three", "four", 7), a("four", "10.0.0.3")] },
    }
    expect(shown(await lookup().srv("_http._tcp.api"))).toBe("10.0.0.2:82*3^0 10.0.0.3:83*3^0 10.0.0.1:81*5^1 for 7s")
    expect(asked()).toBe("SRV _http._tcp.api, A two, A three")
  })

  test("that can't be looked up now are where they were, and are soon asked for again", async () => {
    const both = { answers: [srv("one", 81), srv("two", 82)] }
    zone = { "SRV _http._tcp.api": both, "A one": { answers: [a("one", "10.0.0.1")] }, "A two": { answers: [a("two", "10.0.0.2")] } }
    const same = lookup()
    expect(shown(await same.srv("_http._tcp.api"))).toBe("10.0.0.1:81*1^0 10.0.0.2:82*1^0 for 60s")
    zone = { ...zone, "A one": { code: "SERVFAIL" }, "A two": { answers: [a("two", "10.0.0.22")] } }
    expect(shown(await same.srv("_http._tcp.api"))).toBe("10.0.0.1:81*1^0 10.0.0.22:82*1^0 for 5s")
    // Another look-up has never seen it.
    expect(shown(await lookup().srv("_http._tcp.api"))).toBe("10.0.0.22:82*1^0 for 5s")
  })

  test("are none when the service says that it is not available", async () => {
    zone = { "SRV _http._tcp.api": { answers: [srv(".", 0)] } }
    expect(shown(await lookup().srv("_http._tcp.api"))).toBe("empty: _http._tcp.api lists no host with an address")
  })
})

test("a look ends with its time, whatever it has to ask", async () => {
  zone = { "SRV _http._tcp.api": { answers: [srv("one", 81), srv("two", 82)] }, "A one": null, "A two": null }
  expect(await shown(await lookup({ timeout: 150 }).srv("_http._tcp.api"))).toMatch(
    /^timeout: DNS server 127.0.0.1 port \d+ did not answer in time$/,
  )
})
