import { expect, test } from "vitest"
import { validateConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { RouteWeights } from "../../../gateway/steering/route-weights.ts"

function configOf(route: object): Config {
  const endpoints = ["127.0.0.1:1"]
  const loaded = validateConfig(
    {
      listeners: [{ address: "127.0.0.1:0" }],
      services: { a: { endpoints }, b: { endpoints }, c: { endpoints: [{ address: "127.0.0.1:1", labels: { v: "1" } }] } },
      routes: [
        { name: "shop", ...route },
        { name: "moved", match: { path: "/old" }, redirect: { prefix: "/new" } },
      ],
    },
    { file: "test", baseDir: "." },
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

const split = {
  backends: [
    { service: "a", weight: 90 },
    { service: "b", weight: 10 },
  ],
}

class Place {
  config: Config
  inForce: Readonly<Record<string, readonly number[]>> = {}
  refusal: string | null = null
  readonly logged: string[] = []
  readonly weights: RouteWeights

  constructor(config: Config) {
    this.config = config
    this.weights = new RouteWeights({
      config: () => this.config,
      inForce: () => this.inForce,
      apply: async () => this.take(this.config),
      inTurn: (change) => change(),
      log: (_, message) => this.logged.push(message),
    })
  }

  /** As the snapshots do it. */
  take(config: Config): void {
    const prepared = this.weights.prepare(config)
    if (this.refusal !== null) throw new Error(this.refusal)
    this.config = config
    this.inForce = prepared.weights
    prepared.commit()
  }
}

test("weights that are set stand in the place of the configuration's, and can be taken back", async () => {
  const place = new Place(configOf(split))
  expect(place.weights.status("shop")).toEqual({
    route: "shop",
    setBy: "config",
    since: null,
    backends: [
      { service: "a", subset: null, weight: 90, configured: 90, share: 0.9 },
      { service: "b", subset: null, weight: 10, configured: 10, share: 0.1 },
    ],
  })
  expect(await place.weights.set("shop", { b: 30 })).toEqual({
    status: 200,
    message: "route shop has the weights a 90, b 30, until its backends change in the configuration or the process ends",
  })
  expect(place.inForce).toEqual({ shop: [90, 30] })
  const status = place.weights.status("shop")
  expect(status).toMatchObject({ setBy: "order", backends: [{ weight: 90 }, { weight: 30, configured: 10, share: 0.25 }] })
  expect(place.weights.reasons).toEqual(["the weights of route shop are set by order, and not those of the configuration"])
  expect(await place.weights.set("shop", null)).toMatchObject({ status: 200 })
  expect([place.inForce, place.weights.reasons]).toEqual([{}, []])
  expect(await place.weights.set("shop", null)).toMatchObject({ status: 200, message: expect.stringContaining("already") })
})

test("they outlive other configurations, but not other backends, other weights or a canary of the route", async () => {
  for (const changed of [
    {
      backends: [
        { service: "a", weight: 80 },
        { service: "b", weight: 20 },
      ],
    },
    {
      backends: [
        { service: "a", weight: 90 },
        { service: "c", weight: 10 },
      ],
    },
    { ...split, canary: { service: "b", steps: ["50%", "100%"], interval: "1h" } },
  ]) {
    const place = new Place(configOf(split))
    await place.weights.set("shop", { a: 1 })
    place.take(configOf({ ...split, timeout: "3s" }))
    expect(place.inForce).toEqual({ shop: [1, 10] })
    // One that never comes into force takes nothing away.
    place.refusal = "refused"
    expect(() => place.take(configOf(changed))).toThrow("refused")
    place.refusal = null
    expect(place.weights.status("shop")).toMatchObject({ setBy: "order" })
    place.take(configOf(changed))
    expect([place.inForce, place.logged.at(-1)]).toEqual([
      {},
      "weights set by order are forgotten: the configuration says something else of the route",
    ])
  }
})

test("a route that a canary steers takes none", async () => {
  const place = new Place(configOf({ ...split, canary: { service: "b", steps: ["50%", "100%"], interval: "1h" } }))
  place.inForce = { shop: [50, 50] }
  expect(await place.weights.set("shop", { a: 1 })).toMatchObject({ status: 409, message: expect.stringContaining("has a canary") })
  expect(place.weights.status("shop")).toMatchObject({ setBy: "canary", backends: [{ weight: 50 }, { weight: 50 }] })
})

test.each([
  [{}, "no weight is given"],
  [{ z: 1 }, "route shop has no backend z; it has a, b"],
  [{ a: -1 }, "the weight of a must be a whole number from 0 to 1000000"],
  [{ a: 1.5 }, "the weight of a must be a whole number"],
  [{ a: "1" }, "the weight of a must be a whole number"],
  [{ a: 1_000_001 }, "the weight of a must be a whole number"],
  [{ a: 0, b: 0 }, "every weight would be 0"],
])("%j is refused: %s", async (wanted, message) => {
  const place = new Place(configOf(split))
  expect(await place.weights.set("shop", wanted)).toMatchObject({ status: 422, message: expect.stringContaining(message) })
  expect(place.inForce).toEqual({})
})

test("a service that is there twice is named by its place", async () => {
  const backends = [
    { service: "c", subset: { v: "1" } },
    { service: "c", weight: 3 },
  ]
  const place = new Place(configOf({ backends }))
  expect(await place.weights.set("shop", { c: 5 })).toMatchObject({ status: 422, message: expect.stringContaining("such as #2") })
  expect(await place.weights.set("shop", { "#2": 5 })).toMatchObject({ status: 200 })
  expect(place.inForce).toEqual({ shop: [1, 5] })
  expect(place.weights.status("shop")).toMatchObject({ backends: [{ subset: { v: "1" } }, { subset: null }] })
})

test("routes that aren't there, or have no backends, are refused", async () => {
  const place = new Place(configOf(split))
  expect(place.weights.status("nope")).toEqual({ status: 404, message: "there is no route nope; there are shop, moved" })
  expect(await place.weights.set("moved", { a: 1 })).toMatchObject({
    status: 409,
    message: "route moved has no backends: it answers with a redirect",
  })
})

test("an order that the workers don't take leaves everything as it was", async () => {
  const place = new Place(configOf(split))
  await place.weights.set("shop", { a: 1 })
  place.refusal = "no worker"
  expect(await place.weights.set("shop", { a: 2 })).toMatchObject({ status: 503, message: expect.stringContaining("no worker") })
  expect(place.weights.status("shop")).toMatchObject({ backends: [{ weight: 1 }, { weight: 10 }] })
})
