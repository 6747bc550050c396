import { afterEach, expect, test } from "vitest"
import { CanaryChanges } from "../../../gateway/canary/canary-changes.ts"
import type { SlotsOfRoutes } from "../../../gateway/canary/canary-counts.ts"
import { parseConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { CanaryInstruments } from "../../../gateway/telemetry/canary-instruments.ts"
import { requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { Instruments, statusIndex } from "../../../gateway/telemetry/instruments.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"

const canary = "{ steps: [10%, 50%], interval: 10s, abortOn: { errorRate: 5%, p99: 500ms, minimum: 10 } }"

function configOf(routes: string): Config {
  const text = `listeners: [{ name: a, address: 127.0.0.1:1 }, { name: b, address: 127.0.0.1:2 }]\nservices: { v1: { endpoints: [] }, v2: { endpoints: [] }, v3: { endpoints: [] } }\nroutes: [${routes}]\n`
  const result = parseConfig(text, { file: "sluice.yaml", baseDir: "/" })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.config
}

const open: CanaryChanges[] = []
afterEach(() => {
  for (const each of open.splice(0)) each.close()
})

/** What the supervisor does with its canaries, without workers. */
class Gateway {
  readonly registry = new MetricsRegistry()
  readonly #instruments = new Instruments(this.registry)
  readonly log: unknown[][] = []
  weights: Readonly<Record<string, readonly number[]>> = {}
  applied = 0
  failure = ""
  slots: SlotsOfRoutes = {}
  config: Config
  #turn: Promise<void> = Promise.resolve()
  readonly changes = new CanaryChanges({
    log: (...event) => this.log.push(event),
    instruments: new CanaryInstruments(this.registry),
    read: (slot) => this.registry.read(slot),
    slots: () => this.slots,
    apply: async () => {
      if (this.failure !== "") throw new Error(this.failure)
      this.take(this.config)
    },
    inTurn: (change) => (this.#turn = this.#turn.then(change)),
  })

  constructor(config: Config) {
    this.config = config
    this.take(config)
    open.push(this.changes)
  }

  take(config: Config): void {
    const slots = Object.fromEntries(
      config.listeners.map(({ name }) => [
        name,
        Object.fromEntries(
          config.routes.map((route) => [
            route.name,
            Object.fromEntries(["v1", "v2", "v3"].map((service) => [service, this.#instruments.route(name, route.name, service)])),
          ]),
        ),
      ]),
    )
    const prepared = this.changes.prepare(config, slots)
    this.weights = prepared.weights
    this.config = config
    this.slots = slots
    prepared.commit()
    this.applied++
  }

  serve(listener: string, route: string, service: string, count: number, status = 200, seconds = 0.001): void {
    const slots = this.slots[listener][route][service]
    this.registry.writer.add(slots.requests + statusIndex(status), count)
    for (let i = 0; i < count; i++) this.registry.writer.observe(slots.duration, seconds, requestBuckets)
  }

  grpc(listener: string, route: string, service: string, count: number, code: number): void {
    this.registry.writer.add(this.slots[listener][route][service].grpc + code, count)
  }

  /** Looks `seconds` from now, and waits for what comes of it. */
  async look(seconds: number): Promise<void> {
    this.changes.look(performance.now() + seconds * 1000)
    await this.#turn
  }
}

test("a canary moves on and is promoted; its weights are in force at once, and only when they change", async () => {
  const gateway = new Gateway(
    configOf(`{ name: r, backends: [{ service: v1, weight: 3 }, { service: v3, weight: 1 }, v2], canary: ${canary} }`),
  )
  expect(gateway.weights.r).toEqual([0.675, 0.225, 0.1])
  gateway.serve("a", "r", "v2", 60)
  gateway.serve("b", "r", "v2", 60)
  await gateway.look(9)
  expect(gateway.applied).toBe(1)
  await gateway.look(11)
  expect(gateway.weights.r).toEqual([0.375, 0.125, 0.5])
  expect(gateway.changes.status()[0]).toMatchObject({ state: "progressing", step: 2, share: 0.5, figures: { canary: { exchanges: 0 } } })
  gateway.serve("a", "r", "v2", 120)
  await gateway.look(11)
  expect(gateway.changes.status()[0]).toMatchObject({ route: "r", service: "v2", state: "promoted", step: 2, reason: "" })
  expect(gateway.applied).toBe(2)
  expect(gateway.log.map(([level, message]) => `${level} ${message}`)).toEqual([
    "info canary begins",
    "info canary moves on",
    "info canary promoted",
  ])
  expect((await gateway.registry.exposition()).body).toContain('\nsluice_canary_share{route="r",service="v2"} 0.5\n')
})

test("a canary that fails is rolled back, by 5xx, by gRPC statuses of the server's, by its p99; others go on", async () => {
  const routes = ["status", "grpc", "slow", "well", "refused"].map((name) => `{ name: ${name}, backends: [v1, v2], canary: ${canary} }`)
  const gateway = new Gateway(configOf(routes.join(", ")))
  for (const route of ["status", "grpc", "slow", "well", "refused"]) gateway.serve("a", route, "v1", 200)
  gateway.serve("a", "status", "v2", 100)
  gateway.serve("b", "status", "v2", 20, 503)
  gateway.serve("a", "grpc", "v2", 100)
  gateway.grpc("a", "grpc", "v2", 20, 13)
  gateway.serve("a", "slow", "v2", 90)
  gateway.serve("a", "slow", "v2", 10, 200, 0.9)
  gateway.serve("a", "well", "v2", 100, 404)
  gateway.serve("a", "refused", "v2", 100)
  gateway.grpc("a", "refused", "v2", 50, 7)
  await gateway.look(2)
  const states = Object.fromEntries(gateway.changes.status().map(({ route, state }) => [route, state]))
  expect(states).toEqual({ status: "rolledBack", grpc: "rolledBack", slow: "rolledBack", well: "progressing", refused: "progressing" })
  expect(gateway.weights).toMatchObject({ status: [1, 0], grpc: [1, 0], slow: [1, 0], well: [0.9, 0.1] })
  const [, , fields] = gateway.log.findLast(([, message]) => String(message).startsWith("canary rolled back")) as [unknown, unknown, object]
  expect(fields).toMatchObject({ route: "slow", service: "v2", share: "0%", reason: expect.stringMatching(/^the p99 of 100 requests/) })
  expect(gateway.changes.reasons).toContain("the canary v2 of route status is rolled back")
  expect((await gateway.registry.exposition()).body).toContain('\nsluice_canary_rollbacks_total{route="grpc",service="v2"} 1\n')
})

test("a canary keeps its place over configurations that leave it as it is, and begins anew with another", async () => {
  const gateway = new Gateway(configOf(`{ name: r, backends: [v1, v2], canary: ${canary} }`))
  gateway.serve("a", "r", "v2", 200)
  await gateway.look(11)
  gateway.take(
    configOf(
      `{ name: other, match: { path: /x }, backends: v1 }, { name: r, backends: [{ service: v1, weight: 9 }, v2], canary: ${canary} }`,
    ),
  )
  expect(gateway.changes.status()[0]).toMatchObject({ route: "r", step: 2 })
  expect(gateway.weights).toEqual({ r: [0.5, 0.5] })
  gateway.take(configOf(`{ name: r, backends: [v1, v3], canary: ${canary} }`))
  expect(gateway.changes.status()[0]).toMatchObject({ route: "r", service: "v3", step: 1 })
  expect(gateway.weights).toEqual({ r: [0.9, 0.1] })
  const { body } = await gateway.registry.exposition()
  expect(body).toContain('\nsluice_canary_share{route="r",service="v2"} 0\n')
  gateway.take(configOf("{ name: r, backends: [v1, v3] }"))
  expect([gateway.changes.status(), gateway.weights]).toEqual([[], {}])
})

test("a change that workers refuse leaves the canary where it is, and is tried again later", async () => {
  const gateway = new Gateway(configOf(`{ name: r, backends: [v1, v2], canary: ${canary} }`))
  gateway.serve("a", "r", "v2", 100, 500)
  gateway.failure = "worker 0 did not take the configuration in time"
  await gateway.look(1)
  expect(gateway.changes.status()[0]).toMatchObject({ state: "progressing", share: 0.1 })
  expect(gateway.log.at(-1)).toEqual([
    "error",
    "canary can't be moved",
    { route: "r", service: "v2", share: "0%", reason: gateway.failure },
  ])
  gateway.failure = ""
  await gateway.look(2)
  expect(gateway.changes.status()[0].state).toBe("progressing")
  await gateway.look(12)
  expect(gateway.changes.status()[0].state).toBe("rolledBack")
})

test("orders are carried out, or answered with why not", async () => {
  const gateway = new Gateway(configOf(`{ name: a/b, backends: [v1, v2], canary: ${canary} }`))
  const { changes } = gateway
  expect(await changes.order("a", "pause")).toEqual({ status: 404, message: "there is no canary of a route a; there are a/b" })
  expect(await changes.order("a/b", "pause")).toEqual({ status: 200, message: "the canary v2 of route a/b is paused at 10%" })
  const { refusals } = changes.status()[0]
  expect(refusals).toMatchObject({ resume: "", promote: "", abort: "", restart: "" })
  expect(await changes.order("a/b", "pause")).toEqual({ status: 409, message: `the canary of route a/b ${refusals.pause}` })
  expect(await changes.order("a/b", "promote")).toMatchObject({ status: 200, message: "the canary v2 of route a/b is promoted at 50%" })
  expect(gateway.weights["a/b"]).toEqual([0.5, 0.5])
  expect(await changes.order("a/b", "abort")).toMatchObject({ status: 200, message: "the canary v2 of route a/b is rolled back" })
  expect(gateway.weights["a/b"]).toEqual([1, 0])
  gateway.failure = "no"
  expect((await changes.order("a/b", "restart")).status).toBe(503)
  gateway.failure = ""
  expect(await changes.order("a/b", "restart")).toEqual({ status: 200, message: "the canary v2 of route a/b is progressing at 10%" })
})
