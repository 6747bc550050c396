import { expect, test } from "vitest"
import { validateConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import type { Outcome } from "../../../gateway/http/outcome.ts"
import { DrainedEndpoints } from "../../../gateway/steering/drained-endpoints.ts"

const [A, B, C] = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]

function configOf(endpoints: readonly unknown[], more: object = {}): Config {
  const loaded = validateConfig(
    { listeners: [{ address: "127.0.0.1:0" }], services: { api: { endpoints }, other: { endpoints: ["127.0.0.1:9"] } }, ...more },
    { file: "test", baseDir: "." },
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

class Place {
  found: Config
  readonly unusable = new Set<string>()
  /** Why the workers don't take it; null: they do. */
  refusal: string | null = null
  readonly logged: string[] = []
  readonly counts: Record<string, number> = {}
  applied = 0
  readonly drained: DrainedEndpoints

  constructor(found: Config) {
    this.found = found
    this.drained = new DrainedEndpoints({
      found: () => this.found,
      isUsable: (_, address) => !this.unusable.has(address),
      apply: async () => {
        if (this.refusal !== null) throw new Error(this.refusal)
        this.applied++
      },
      inTurn: (change) => change(),
      log: (_, message, { endpoint }) => this.logged.push(`${message}: ${endpoint}`),
      onCount: (service, count) => {
        this.counts[service] = count
      },
    })
  }

  weights(): number[] {
    return this.drained.laidOver(this.found).services.api.endpoints.map(({ weight }) => weight)
  }

  drain(address: string, force = false): Promise<Outcome> {
    return this.drained.drain("api", address, force)
  }
}

test("a drained endpoint has no weight until it is undrained; the configuration stays as it is", async () => {
  const place = new Place(configOf([A, { address: B, weight: 5 }, C]))
  expect(place.drained.laidOver(place.found)).toBe(place.found)
  expect(await place.drain(B)).toMatchObject({ status: 200 })
  expect(place.weights()).toEqual([1, 0, 1])
  expect(place.found.services.api.endpoints[1].weight).toBe(5)
  expect(place.drained.since("api", B)).toBeLessThanOrEqual(Date.now())
  expect(place.drained.reasons).toEqual([`endpoint ${B} of service api is drained`])
  expect(place.counts).toEqual({ api: 1 })
  expect(await place.drained.undrain("api", B)).toMatchObject({ status: 200 })
  expect([place.weights(), place.applied, place.drained.reasons, place.counts]).toEqual([[1, 5, 1], 2, [], { api: 0 }])
})

test("the list of a service's endpoints is the same one as long as nothing changes", async () => {
  const place = new Place(configOf([A, B]))
  await place.drain(A)
  const { services } = place.drained.laidOver(place.found)
  expect(place.drained.laidOver(place.found).services.api.endpoints).toBe(services.api.endpoints)
  expect(services.other).toBe(place.found.services.other)
  await place.drained.undrain("api", A)
  expect(place.drained.laidOver(place.found).services.api.endpoints).toBe(place.found.services.api.endpoints)
})

test("orders that are carried out already change nothing", async () => {
  const place = new Place(configOf([A, B]))
  expect(await place.drained.undrain("api", A)).toMatchObject({ status: 200, message: expect.stringContaining("is not drained") })
  await place.drain(A)
  expect(await place.drain(A)).toMatchObject({ status: 200, message: expect.stringContaining("already") })
  expect(place.applied).toBe(1)
})

test("the last usable endpoint is drained by force alone", async () => {
  const place = new Place(configOf([A, B, { address: C, weight: 0 }]))
  place.unusable.add(B)
  const refused = await place.drain(A)
  expect(refused.status).toBe(409)
  expect(refused.message).toBe(
    `endpoint ${A} of service api is the last that is usable: without it its requests would be answered with 503; make another one usable first, or force it (--force; ?force=true)`,
  )
  // One that gets nothing as it is, and one that is unwell, are no loss.
  expect(await place.drain(C)).toMatchObject({ status: 200 })
  place.unusable.clear()
  expect(await place.drain(B)).toMatchObject({ status: 200 })
  expect((await place.drain(A)).status).toBe(409)
  expect(await place.drain(A, true)).toMatchObject({ status: 200 })
  expect(place.weights()).toEqual([0, 0, 0])
  expect(place.drained.reasons).toEqual([`endpoints ${C}, ${B}, ${A} of service api are drained`])
})

test("one that is ejected is drained, unless it is all there is left to take requests", async () => {
  const place = new Place(configOf([A, B]))
  place.unusable.add(A).add(B)
  // Both have to do: one of them can do it.
  expect(await place.drain(A)).toMatchObject({ status: 200 })
  expect(await place.drain(B)).toEqual({
    status: 409,
    message: `endpoint ${B} of service api is unwell or ejected, but the last that takes requests: without it its requests would be answered with 503; make another one usable first, or force it (--force; ?force=true)`,
  })
})

test("the last usable endpoint of a subset that a route uses is drained by force alone", async () => {
  const endpoints = [
    { address: A, labels: { version: "v1" } },
    { address: B, labels: { version: "v2" } },
  ]
  const place = new Place(configOf(endpoints, { routes: [{ name: "new", backends: { service: "api", subset: { version: "v2" } } }] }))
  expect(await place.drain(B)).toMatchObject({ status: 409, message: expect.stringContaining("{ version: v2 }, which route new sends") })
  expect(await place.drain(A)).toMatchObject({ status: 200 })
})

test("it says where requests would go that fail over", async () => {
  const place = new Place(configOf([A]))
  const { api } = place.found.services
  place.found = { ...place.found, services: { ...place.found.services, api: { ...api, failover: "other" } } }
  expect((await place.drain(A)).message).toContain("its requests would go to service other")
})

test("what is not there is refused, with what is", async () => {
  const place = new Place(configOf([A, B]))
  expect(await place.drain(C)).toEqual({ status: 404, message: `service api has no endpoint ${C}; it has ${A}, ${B}` })
  expect(await place.drained.drain("nope", A, false)).toEqual({ status: 404, message: "there is no service nope; there are api, other" })
})

test("an order that the workers don't take leaves everything as it was", async () => {
  const place = new Place(configOf([A, B]))
  place.refusal = "no worker"
  expect(await place.drain(A)).toMatchObject({ status: 503, message: expect.stringContaining("no worker") })
  expect([place.weights(), place.drained.since("api", A)]).toEqual([[1, 1], null])
})

test("it outlives other configurations as long as the endpoint is there", async () => {
  const place = new Place(configOf([A, B, C]))
  await place.drain(A)
  await place.drain(B)
  place.found = configOf([{ address: B, weight: 7 }, C])
  expect(place.weights()).toEqual([0, 1])
  place.drained.use(place.found)
  expect([place.drained.since("api", A), place.counts.api]).toEqual([null, 1])
  expect(place.logged.at(-1)).toBe(`drained endpoint is gone, and forgotten: ${A}`)
  place.found = configOf([A, B, C])
  expect(place.weights()).toEqual([1, 0, 1])
  const { other } = place.found.services
  place.drained.use({ ...place.found, services: { other } })
  expect([place.weights(), place.counts.api]).toEqual([[1, 1, 1], 0])
})
