import { expect, test } from "vitest"
import type { Recorder } from "../../../gateway/admin/change-history.ts"
import { services } from "../../../gateway/admin/services.ts"
import { weightsOfRoutes } from "../../../gateway/admin/weights.ts"

const who = { who: "alice" }

function recorder(): { recorded: Parameters<Recorder["record"]>[0][]; history: Recorder } {
  const recorded: Parameters<Recorder["record"]>[0][] = []
  return { recorded, history: { record: (change) => recorded.push(change) } }
}

test("an endpoint is drained, by force too, and undrained; each is in the history", async () => {
  const { recorded, history } = recorder()
  const app = services({
    history,
    services: () => [],
    drain: (service, endpoint, force) => Promise.resolve({ status: force ? 200 : 409, message: `${service} ${endpoint} ${force}` }),
    undrain: (service, endpoint) => Promise.resolve({ status: 200, message: `${service} ${endpoint}` }),
  })
  const order = (path: string): Promise<Response> => Promise.resolve(app.request(path, { method: "POST" }, who))
  const refused = await order("/api/endpoints/10.0.0.1:80/drain")
  expect([refused.status, await refused.json()]).toEqual([409, { error: "api 10.0.0.1:80 false" }])
  const forced = await order("/a/b/endpoints/%5B::1%5D:80/drain?force=true")
  expect([forced.status, await forced.json()]).toEqual([200, { done: "a/b [::1]:80 true" }])
  expect(await (await order("/api/endpoints/10.0.0.1:80/undrain")).json()).toEqual({ done: "api 10.0.0.1:80" })
  expect((await order("/api/endpoints/10.0.0.1:80/drain?force=perhaps")).status).toBe(400)
  expect(recorded).toEqual([
    { who: "alice", kind: "endpoint drain", what: "10.0.0.1:80 of api", refused: "api 10.0.0.1:80 false" },
    { who: "alice", kind: "endpoint drain", what: "[::1]:80 of a/b, by force", refused: null },
    { who: "alice", kind: "endpoint undrain", what: "10.0.0.1:80 of api", refused: null },
  ])
})

test("weights of a route are told, set and taken back; what is no weight is refused", async () => {
  const { recorded, history } = recorder()
  const wanted: unknown[] = []
  const status = { route: "shop/eu", setBy: "config", since: null, backends: [] } as const
  const app = weightsOfRoutes({
    history,
    weights: (route) => (route === "shop/eu" ? status : { status: route === "moved" ? 409 : 404, message: `no ${route}` }),
    setWeights: (route, weights) => {
      wanted.push([route, weights])
      return Promise.resolve({ status: 200, message: "set" })
    },
  })
  expect(await (await app.request("/shop/eu/weights", {}, who)).json()).toEqual(status)
  expect([(await app.request("/nope/weights", {}, who)).status, (await app.request("/moved/weights", {}, who)).status]).toEqual([404, 409])
  const put = (body: string): Promise<Response> => {
    const init = { method: "PUT", body, headers: { "content-type": "application/json" } }
    return Promise.resolve(app.request("/shop/eu/weights", init, who))
  }
  expect((await put('{"weights":{"a":90,"b":10}}')).status).toBe(200)
  expect((await put('{"weights":null}')).status).toBe(200)
  for (const wrong of ["{}", "[]", '{"weights":{"a":"1"}}', '{"weights":{"a":1},"more":1}', "{"])
    expect((await put(wrong)).status).toBe(400)
  expect((await Promise.resolve(app.request("/shop/eu/weights", { method: "PUT", body: "a=1" }, who))).status).not.toBe(200)
  expect(wanted).toEqual([
    ["shop/eu", { a: 90, b: 10 }],
    ["shop/eu", null],
  ])
  expect(recorded.map(({ kind, what }) => [kind, what])).toEqual([
    ["weights", "shop/eu: a 90, b 10"],
    ["weights", "shop/eu: as configured"],
  ])
})

test("an order that goes wrong is in the history as well", async () => {
  const { recorded, history } = recorder()
  const broken = (): Promise<never> => Promise.reject(new Error("out of memory"))
  const app = services({ history, services: () => [], drain: broken, undrain: broken })
  app.onError(({ message }, c) => c.json({ error: message }, 500))
  expect((await app.request("/api/endpoints/10.0.0.1:80/undrain", { method: "POST" }, who)).status).toBe(500)
  expect(recorded).toEqual([{ who: "alice", kind: "endpoint undrain", what: "10.0.0.1:80 of api", refused: "failed: out of memory" }])
})
