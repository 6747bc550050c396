import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { TextService } from "../support/grpc-service.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { get } from "../support/raw-client.ts"

/** An origin whose answer to /healthz the test decides. */
class Patient {
  status = 200
  text = ""
  readonly #origin: Origin

  private constructor(origin: Origin) {
    this.#origin = origin
  }

  static async start(name: string): Promise<Patient> {
    let patient: Patient | null = null
    const origin = await Origin.start((request, connection) => {
      if (request.target === "/healthz") connection.reply((patient as Patient).status, (patient as Patient).text)
      else connection.reply(200, name)
    })
    patient = new Patient(origin)
    return patient
  }

  get address(): string {
    return this.#origin.address
  }

  stop(): Promise<void> {
    return this.#origin.stop()
  }
}

let a: Patient
let b: Patient
let c: Patient
let plain: Origin
let text: TextService
let gateway: Gateway
const check = { interval: "100ms", timeout: "100ms", unhealthy: 2, healthy: 2 }

function config(more: object = {}): object {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    listeners: [{ name: "edge", address: "127.0.0.1:0" }],
    services: {
      pair: { endpoints: [a.address, b.address], loadBalancing: "roundRobin", healthCheck: { path: "/healthz", ...check } },
      text: { endpoints: [text.address], protocol: "h2", healthCheck: { grpc: { service: "test.Text" }, ...check } },
      strict: {
        endpoints: [c.address],
        healthCheck: { path: "/healthz", status: [401, "500-503"], body: "all good", ...check, unhealthyInterval: "120ms" },
      },
      open: { endpoints: [plain.address], healthCheck: { tcp: true, ...check } },
      secure: { endpoints: [plain.address], tls: { insecureSkipVerify: true }, healthCheck: { tcp: true, ...check } },
      ...more,
    },
    routes: [{ name: "pair", backends: "pair" }],
  }
}

beforeAll(async () => {
  a = await Patient.start("a")
  b = await Patient.start("b")
  c = await Patient.start("c")
  c.status = 401
  c.text = "it is all good here"
  plain = await Origin.start((_, connection) => connection.reply(200))
  text = await TextService.start()
  gateway = await Gateway.start({ config: config() })
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all([a.stop(), b.stop(), c.stop(), plain.stop()])
  text.stop()
})

async function healthy(service: string, endpoint: string): Promise<number> {
  return (await readMetrics(gateway.adminPort)).sum("sluice_endpoint_healthy", { service, endpoint })
}

async function becomes(service: string, endpoint: string, value: number): Promise<void> {
  await until(async () => (await healthy(service, endpoint)) === value, `health of ${endpoint}: ${value}`)
}

/** Who answers how often of so many requests, each on a connection of its own and so in any worker. */
async function answers(count: number): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (let i = 0; i < count; i++) {
    const name = (await get(gateway.port("edge"), "/")).text()
    found[name] = (found[name] ?? 0) + 1
  }
  return found
}

describe("endpoints that are probed with GET", () => {
  test("take part while they answer 2xx", async () => {
    expect([await healthy("pair", a.address), await healthy("pair", b.address)]).toEqual([1, 1])
    expect(Object.keys(await answers(20)).sort()).toEqual(["a", "b"])
  })

  test("are avoided by every worker while they don't, and used again afterwards", async () => {
    b.status = 500
    await becomes("pair", b.address, 0)
    expect(await answers(30)).toEqual({ a: 30 })
    const told = await gateway.waitForLog((line) => line.message === "endpoint is unwell" && line.endpoint === b.address, "a line about it")
    expect(told).toMatchObject({ level: "warn", service: "pair", failure: "answered with status 500" })
    b.status = 204
    await becomes("pair", b.address, 1)
    expect(Object.keys(await answers(20)).sort()).toEqual(["a", "b"])
    await gateway.waitForLog((line) => line.message === "endpoint is well again" && line.endpoint === b.address, "a line about it")
  })

  test("are all used when none is well", async () => {
    a.status = 500
    b.status = 500
    await becomes("pair", a.address, 0)
    await becomes("pair", b.address, 0)
    expect(Object.keys(await answers(20)).sort()).toEqual(["a", "b"])
    a.status = 200
    await becomes("pair", a.address, 1)
    expect(await answers(20)).toEqual({ a: 20 })
    b.status = 200
    await becomes("pair", b.address, 1)
  })

  test("keep their health over a reload, and new ones are probed", async () => {
    b.status = 500
    await becomes("pair", b.address, 0)
    const late = await Patient.start("late")
    late.status = 500
    gateway.writeConfig(config({ late: { endpoints: [late.address], healthCheck: { path: "/healthz", ...check } } }))
    await becomes("late", late.address, 0)
    expect(await answers(20)).toEqual({ a: 20 })
    b.status = 200
    await becomes("pair", b.address, 1)
    await late.stop()
  })
})

describe("an endpoint that is probed with grpc.health.v1", () => {
  test("is well while it says that the service is serving", async () => {
    await until(() => text.healthAsked.length > 0, "a probe")
    expect(text.healthAsked[0]).toBe("test.Text")
    expect(await healthy("text", text.address)).toBe(1)
    text.health = 2
    await becomes("text", text.address, 0)
    text.health = 1
    await becomes("text", text.address, 1)
  })
})

describe("an endpoint whose answer is looked at", () => {
  test("is well with the statuses and the text it should have, and with both alone", async () => {
    expect(await healthy("strict", c.address)).toBe(1)
    c.text = "it is good here"
    await becomes("strict", c.address, 0)
    const why = (failure: string) =>
      gateway.waitForLog((line) => line.message === "endpoint is unwell" && line.failure === failure, `a line about ${failure}`)
    await why("answered without the text it should")
    c.text = "all good"
    c.status = 503
    await becomes("strict", c.address, 1)
    c.status = 200
    await becomes("strict", c.address, 0)
    await why("answered with status 200")
    c.status = 401
    await becomes("strict", c.address, 1)
  })
})

describe("an endpoint that is probed by connecting", () => {
  test("is well while that succeeds", async () => {
    expect(await healthy("open", plain.address)).toBe(1)
    const { port } = plain
    await plain.stop()
    await becomes("open", plain.address, 0)
    await gateway.waitForLog(
      (line) => line.message === "endpoint is unwell" && line.service === "open" && line.failure === "connectFailure: ECONNREFUSED",
      "a line about it",
    )
    plain = await Origin.start((_, connection) => connection.reply(200), { port })
    await becomes("open", plain.address, 1)
  })

  test("is unwell when it speaks no TLS where it should", async () => {
    await becomes("secure", plain.address, 0)
  })
})
