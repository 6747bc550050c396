// Services with a failover, or used in part, whose endpoints a file lists: they change with a whole snapshot, beside a canary.

import { afterAll, beforeAll, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { type Origin, staticOrigin } from "../support/origin.ts"
import { get } from "../support/raw-client.ts"

let origins: Record<"one" | "two" | "spare", Origin>
let gateway: Gateway

beforeAll(async () => {
  origins = { one: await staticOrigin("one"), two: await staticOrigin("two"), spare: await staticOrigin("spare") }
  const { one, two, spare } = origins
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: {
        first: { discovery: { file: "first.yaml" }, failover: "spare" },
        spare: { discovery: { file: "spare.yaml" } },
        parted: { discovery: { file: "parted.yaml" } },
        stable: { endpoints: [one.address] },
        next: { endpoints: [two.address] },
      },
      routes: [
        { name: "first", match: { path: "/first" }, backends: "first" },
        { name: "v1", match: { path: "/v1" }, backends: { service: "parted", subset: { version: "v1" } } },
        { name: "v2", match: { path: "/v2" }, backends: { service: "parted", subset: { version: "v2" } } },
        {
          name: "canary",
          match: { path: "/canary" },
          backends: ["stable", "next"],
          canary: { service: "next", steps: ["50%"], interval: "1h" },
        },
        {
          name: "limited",
          match: { path: "/limited" },
          backends: "stable",
          rateLimit: { requests: 1, per: "1h", burst: 1 },
        },
      ],
    },
    files: {
      "first.yaml": `- ${one.address}\n`,
      "spare.yaml": `- ${spare.address}\n`,
      "parted.yaml": JSON.stringify([labelled(one, "v1"), labelled(two, "v2")]),
    },
  })
})

afterAll(async () => {
  await gateway?.kill()
  await Promise.all(Object.values(origins).map((origin) => origin.stop()))
})

const labelled = ({ address }: Origin, version: string) => ({ address, labels: { version } })

async function ask(path: string): Promise<string> {
  const response = await get(gateway.port("edge"), path)
  return response.status === 200 ? response.text() : `${response.status}`
}

/** Once so many requests in a row, over all workers, are answered so. */
async function become(path: string, answer: string): Promise<void> {
  await until(
    async () => (await Promise.all(Array.from({ length: 8 }, () => ask(path)))).every((each) => each === answer),
    `answers of ${path} by ${answer}`,
  )
}

test("a service whose endpoints go and come fails over, and comes back", async () => {
  await become("/first", "one")
  gateway.writeFile("first.yaml", "[]\n")
  await become("/first", "spare")
  gateway.writeFile("first.yaml", `- ${origins.one.address}\n`)
  await become("/first", "one")
})

test("a part of a service has the endpoints with its labels", async () => {
  const { one, two, spare } = origins
  expect([await ask("/v1"), await ask("/v2")]).toEqual(["one", "two"])
  gateway.writeFile("parted.yaml", JSON.stringify([labelled(spare, "v1"), labelled(one, "v2"), { address: two.address }]))
  await become("/v2", "one")
  expect(await ask("/v1")).toBe("spare")
  gateway.writeFile("parted.yaml", JSON.stringify([labelled(spare, "v1")]))
  await become("/v2", "503")
})

test("none of that is a reload: canaries stay where they are, and limits keep what they have counted", async () => {
  expect([await ask("/limited"), await ask("/limited")]).toEqual(["one", "429"])
  const before = await canary()
  gateway.writeFile("first.yaml", `- ${origins.spare.address}\n`)
  await become("/first", "spare")
  expect(await ask("/limited")).toBe("429")
  expect(await canary()).toEqual(before)
  const metrics = await readMetrics(gateway.adminPort)
  expect(metrics.sum("sluice_config_reloads_total", { result: "taken" })).toBe(1)
  const answers = new Set(await Promise.all(Array.from({ length: 60 }, () => ask("/canary"))))
  expect([...answers].sort()).toEqual(["one", "two"])
})

async function canary(): Promise<unknown> {
  const { canaries } = JSON.parse((await get(gateway.adminPort, "/canaries")).text())
  const { state, step, share, since } = canaries[0]
  return { state, step, share, since }
}
