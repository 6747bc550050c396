// Endpoints that come from elsewhere while traffic runs: from a real DNS server, and from a file.

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Dnsmasq } from "../support/dnsmasq.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginConnection } from "../support/origin.ts"
import { get, RawClient } from "../support/raw-client.ts"

/** Origins with the same port on several addresses of this machine, as the hosts of one name have. */
const HOSTS = ["127.0.0.1", "127.0.0.2"] as const
const folder = mkdtempSync(join(tmpdir(), "sluice-discovery-"))
const path = Dnsmasq.path

let origins: Origin[]
let held: OriginConnection[]
/** Null: there is no dnsmasq here. */
let dns: Dnsmasq | null = null
let gateway: Gateway

async function startOrigins(): Promise<Origin[]> {
  const first = await Origin.start(answerAs("one"))
  return [first, await Origin.start(answerAs("two"), { host: HOSTS[1], port: first.port }), await Origin.start(answerAs("three"))]
}

function answerAs(name: string) {
  return ({ target }: { target: string }, connection: OriginConnection): void => {
    if (target === "/held") held.push(connection)
    else connection.reply(200, name)
  }
}

function config(): object {
  const port = origins[0].port
  const lookup = { resolvers: [`127.0.0.1:${dns?.port ?? 1}`], refresh: "100ms" }
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    accessLog: "errors",
    listeners: [
      { name: "edge", address: "127.0.0.1:0" },
      { name: "tcp", address: "127.0.0.1:0", protocol: "tcp", backends: "web" },
    ],
    services: {
      web: { discovery: { dns: `web.internal:${port}`, ...lookup } },
      srv: { discovery: { srv: "_http._tcp.srv.internal", ...lookup, refresh: "1h" }, loadBalancing: "roundRobin" },
      local: { discovery: { dns: `localhost:${port}`, resolvers: ["127.0.0.1:1"] } },
      gone: { discovery: { dns: `gone.internal:${port}`, ...lookup, refresh: "1h" } },
      file: { discovery: { file: "endpoints.yaml" } },
    },
    routes: ["web", "srv", "local", "gone", "file"].map((name) => ({ name, hosts: [name], match: { path: "/" }, backends: name })),
  }
}

beforeAll(async () => {
  held = []
  origins = await startOrigins()
  const [one, , three] = origins
  if (path !== null) {
    dns = await Dnsmasq.start(path, join(folder, "hosts"), [
      `--srv-host=_http._tcp.srv.internal,a.internal,${one.port},1,5`,
      `--srv-host=_http._tcp.srv.internal,b.internal,${three.port},1,5`,
      "--host-record=a.internal,127.0.0.1",
      "--host-record=b.internal,127.0.0.1",
    ])
    dns.set({ "web.internal": [HOSTS[0]] })
  }
  gateway = await Gateway.start({ config: config(), files: { "endpoints.yaml": `- ${one.address}\n` } })
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  // What has started ends, also where something after it has not.
  await gateway?.kill()
  await dns?.stop()
  await Promise.all(origins.map((origin) => origin.stop()))
})

const ask = async (host: string): Promise<string> => {
  const response = await get(gateway.port("edge"), "/", { host })
  return response.status === 200 ? response.text() : `${response.status}`
}

/** Who answers requests of a service, of so many, in alphabetical order. */
async function answers(host: string, count = 12): Promise<string[]> {
  const found = new Set<string>()
  for (let i = 0; i < count; i++) found.add(await ask(host))
  return [...found].sort()
}

async function become(host: string, names: readonly string[]): Promise<void> {
  await until(async () => (await answers(host, 6)).join() === names.join(), `answers of ${host} by ${names.join(" and ")}`)
}

const ready = async (): Promise<string[]> => JSON.parse((await get(gateway.adminPort, "/ready")).text()).reasons

/** Requests one after the other on a connection, until told to stop: what was answered. */
class Traffic {
  readonly answers: string[] = []
  #stopping = false
  readonly #done: Promise<void>

  constructor(host: string) {
    this.#done = this.#run(host)
  }

  async #run(host: string): Promise<void> {
    const client = await RawClient.connect(gateway.port("edge"))
    while (!this.#stopping) {
      client.send(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
      const response = await client.readResponse()
      this.answers.push(response.status === 200 ? response.text() : `${response.status}`)
    }
    client.destroy()
  }

  async stop(): Promise<string[]> {
    this.#stopping = true
    await this.#done
    return this.answers
  }
}

describe.skipIf(path === null)(`endpoints from the DNS${path === null ? " (skipped: needs dnsmasq)" : ""}`, () => {
  test("change under traffic without a failed request; what runs on old ones ends there", async () => {
    const [one] = origins
    const tcp = await RawClient.connect(gateway.port("tcp"))
    tcp.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await tcp.readResponse()).text()).toBe("one")
    const slow = await RawClient.connect(gateway.port("edge"))
    slow.send("GET /held HTTP/1.1\r\nhost: web\r\n\r\n")
    await until(() => held.length === 1, "the request that is held")
    const traffic = [new Traffic("web"), new Traffic("web"), new Traffic("web")]
    await until(() => traffic.every(({ answers }) => answers.length > 5), "traffic")
    const generation = (await readMetrics(gateway.adminPort)).sum("sluice_config_generation")

    dns?.set({ "web.internal": [HOSTS[1]] })
    await until(() => traffic.every(({ answers }) => answers.at(-1) === "two"), "answers of the new endpoint")
    const after = traffic.map(({ answers }) => answers.length)
    await until(() => traffic.every(({ answers }, i) => answers.length > after[i] + 20), "traffic")
    for (const [i, each] of traffic.entries()) {
      const answers = await each.stop()
      expect(new Set(answers)).toEqual(new Set(["one", "two"]))
      expect(new Set(answers.slice(after[i]))).toEqual(new Set(["two"]))
    }
    // All but what still runs is gone from the old endpoint.
    await until(() => one.open === 2, "end of idle connections")
    held[0].reply(200, "held")
    expect((await slow.readResponse()).text()).toBe("held")
    tcp.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await tcp.readResponse()).text()).toBe("one")
    await until(() => one.open === 1, "end of a connection whose request has ended")
    const late = await RawClient.connect(gateway.port("tcp"))
    late.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await late.readResponse()).text()).toBe("two")
    for (const client of [tcp, slow, late]) client.destroy()
    await until(() => one.open === 0, "end of the TCP connection")
    const line = await gateway.waitForLog(({ message, service }) => message === "endpoints changed" && service === "web", "a line about it")
    expect(line).toMatchObject({ endpoints: 1, added: `${HOSTS[1]}:${one.port}`, removed: one.address })
    // The configuration is the same as before, for whoever looks at it.
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_config_reloads_total", { result: "taken" })).toBe(1)
    expect(metrics.sum("sluice_config_generation")).toBe(generation)
    const shown = JSON.parse((await get(gateway.adminPort, "/config")).text())
    expect(shown.services.web).toMatchObject({ endpoints: [], discovery: { kind: "dns", address: { host: "web.internal" } } })
  })

  test("of SRV records have their hosts and ports", async () => {
    expect(await answers("srv")).toEqual(["one", "three"])
  })

  test("of names that the system knows need no DNS server", async () => {
    expect(await answers("local", 3)).toEqual(["one"])
  })

  test("that nobody knows are answered for with 503, and said to be missing", async () => {
    expect(await ask("gone")).toBe("503")
    const line = await gateway.accessLine(({ route }) => route === "gone", "a request for it")
    expect(line.flag).toBe("UH")
    expect(await ready()).toContain("no endpoints of gone are known; their requests are answered with 503")
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_discovery_endpoints", { service: "gone" })).toBe(0)
    expect(metrics.sum("sluice_discovery_refreshes_total", { service: "gone", result: "unknown" })).toBeGreaterThan(0)
    expect(metrics.sum("sluice_discovery_last_success_timestamp_seconds", { service: "web" })).toBeGreaterThan(1_700_000_000)
  })

  test("stay when the DNS server dies, and change again when it is back", async () => {
    dns?.set({ "web.internal": [...HOSTS] })
    await become("web", ["one", "two"])
    await dns?.stop()
    const told = await gateway.waitForLog(
      ({ message, service }) => message === "endpoints can't be found; those known stay" && service === "web",
      "a line about it",
    )
    expect(told).toMatchObject({ level: "warn", endpoints: 2 })
    expect(await answers("web")).toEqual(["one", "two"])
    expect(await ready()).toContain("endpoints of web can't be found; those known before serve")
    dns?.set({ "web.internal": [HOSTS[0]] })
    await dns?.start()
    await become("web", ["one"])
    await gateway.waitForLog(({ message, service }) => message === "endpoints are found again" && service === "web", "a line about it")
    // A name that is gone says nothing about the hosts that had it.
    dns?.set({})
    await until(
      async () => (await readMetrics(gateway.adminPort)).sum("sluice_discovery_refreshes_total", { service: "web", result: "unknown" }) > 0,
      "answers that there is no such name",
    )
    expect(await answers("web", 3)).toEqual(["one"])
  })
})

describe("endpoints from a file", () => {
  test("change with it, and stay as they are when it is wrong", async () => {
    const [one, , three] = origins
    expect(await answers("file", 3)).toEqual(["one"])
    gateway.writeFile("endpoints.yaml", JSON.stringify([one.address, { address: three.address, weight: 1 }]))
    await become("file", ["one", "three"])
    gateway.writeFile("endpoints.yaml", `- ${one.address}\n- ${three.port}\n`)
    const line = await gateway.waitForLog(
      ({ message, service }) => message === "endpoints can't be found; those known stay" && service === "file",
      "a line about it",
    )
    expect(line.reason).toContain(`endpoints.yaml:2:3: [1]: expected a text or an object, got ${three.port}`)
    expect(await answers("file")).toEqual(["one", "three"])
    expect(await ready()).toContainEqual(expect.stringMatching(/^endpoints of .*\bfile can't be found; those known before serve$/))
    gateway.writeFile("endpoints.yaml", `- ${three.address}\n`)
    await until(async () => !(await ready()).join().includes("file"), "the end of the problem")
    await become("file", ["three"])
  })
})
