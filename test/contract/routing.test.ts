import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { echoOrigin, type Origin } from "../support/origin.ts"
import { exchange, get, RawClient, type Response } from "../support/raw-client.ts"

let a: Origin
let b: Origin
let gateway: Gateway

interface Seen {
  readonly name: string
  readonly method: string
  readonly target: string
  readonly fields: readonly [string, string][]
}

beforeAll(async () => {
  a = await echoOrigin("a")
  b = await echoOrigin("b")
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [
        { name: "first", address: "127.0.0.1:0" },
        { name: "second", address: "127.0.0.1:0", trustedHops: 1, path: { encodedSlash: "reject", mergeSlashes: false } },
      ],
      services: { a: { endpoints: [a.address] }, b: { endpoints: [b.address] } },
      routes: [
        { name: "any", backends: "a" },
        { name: "host", hosts: ["shop.example"], backends: "b" },
        { name: "wildcard", hosts: ["*.example"], match: { path: "/sub" }, respond: { status: 200, body: "wildcard" } },
        { name: "exact", match: { path: { exact: "/exact" } }, respond: { status: 200, body: "exact" } },
        { name: "prefix", match: { path: "/api" }, backends: "b" },
        { name: "longer", match: { path: "/api/v2" }, respond: { status: 200, body: "v2" } },
        { name: "regex", match: { path: { regex: "/item/[0-9]+" } }, respond: { status: 200, body: "item" } },
        { name: "method", match: { path: "/verbs", method: ["PUT", "DELETE"] }, respond: { status: 200, body: "verbs" } },
        { name: "header", match: { path: "/hv", headers: { "x-beta": "1" } }, respond: { status: 200, body: "beta" } },
        { name: "query", match: { path: "/qv", query: { debug: "yes" } }, respond: { status: 200, body: "debug" } },
        { name: "second-only", listeners: ["second"], match: { path: "/second" }, respond: { status: 200, body: "second" } },
        { name: "rewrite", match: { path: "/old/api" }, backends: "b", rewrite: { prefix: "/v1", host: "inner.example" } },
        { name: "rewrite-root", match: { path: "/strip" }, backends: "b", rewrite: { prefix: "/" } },
        { name: "rewrite-path", match: { path: "/fixed" }, backends: "b", rewrite: { path: "/one" } },
        { name: "redirect", match: { path: "/moved" }, redirect: { prefix: "/here", status: 308 } },
        { name: "redirect-https", match: { path: "/secure" }, redirect: { scheme: "https", host: "safe.example", status: 301 } },
        {
          name: "respond",
          match: { path: "/teapot" },
          respond: { status: 418, body: '{"tea":true}', headers: { "content-type": "application/json", "x-kind": "pot" } },
        },
        { name: "empty-reply", match: { path: "/nothing" }, respond: { status: 204 } },
        {
          name: "edits",
          match: { path: "/edits" },
          backends: [
            {
              service: "a",
              headers: { request: { set: { "x-order": "backend" } }, response: { add: { "x-added": "backend" } } },
            },
          ],
          headers: {
            request: { remove: ["x-secret"], set: { "x-set": "new", "x-order": "route" }, add: { "x-many": "three" } },
            response: { remove: ["content-type"], set: { "x-from": "edge" }, add: { "x-added": "route" } },
          },
        },
        {
          name: "split",
          match: { path: "/split" },
          backends: [
            { service: "a", weight: 3 },
            { service: "b", weight: 1 },
            { service: "gone", weight: 0 },
          ],
        },
        { name: "gone", match: { path: "/gone" }, backends: "gone" },
        { name: "no-backends", match: { path: "/no-backends" }, backends: [] },
        { name: "half-gone", match: { path: "/half-gone" }, backends: [{ service: "a" }, { service: "gone" }] },
      ],
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  await a.stop()
  await b.stop()
})

function seen(response: Response): Seen {
  return JSON.parse(response.text())
}

const at = (target: string, fields: Record<string, string> = {}): Promise<Response> => get(gateway.port("first"), target, fields)

describe("matching", () => {
  test.each([
    ["/", {}, "a"],
    ["/", { host: "shop.example" }, "b"],
    ["/", { host: "SHOP.example:8080" }, "b"],
    ["/", { host: "other.example" }, "a"],
    ["/sub/x", { host: "deep.down.example" }, "wildcard"],
    ["/sub", { host: "example" }, "a"],
    ["/exact", {}, "exact"],
    ["/exact/", {}, "a"],
    ["/api", {}, "b"],
    ["/api/x", {}, "b"],
    ["/apix", {}, "a"],
    ["/api/v2/x", {}, "v2"],
    ["/api/v22", {}, "b"],
    ["/item/17", {}, "item"],
    ["/item/17/x", {}, "a"],
    ["/hv", { "x-beta": "1" }, "beta"],
    ["/hv", { "x-beta": "2" }, "a"],
    ["/qv?debug=yes&x", {}, "debug"],
    ["/qv?debug=no", {}, "a"],
    ["/second", {}, "a"],
  ] as const)("GET %s with %j finds %s", async (target, fields, wanted) => {
    const text = (await at(target, fields)).text()
    expect(text.startsWith("{") ? JSON.parse(text).name : text).toBe(wanted)
  })

  test("methods tell routes apart", async () => {
    const port = gateway.port("first")
    expect((await exchange(port, "PUT /verbs HTTP/1.1\r\nhost: x\r\n\r\n", "PUT")).text()).toBe("verbs")
    expect(seen(await at("/verbs")).name).toBe("a")
  })

  test("a listener's own routes are its own", async () => {
    expect((await get(gateway.port("second"), "/second")).text()).toBe("second")
  })

  test("no spelling of a path gets around a route", async () => {
    for (const target of ["/api/../exact", "/%65xact", "//exact", "/./exact", "/x/%2e%2e/exact"])
      expect([target, (await at(target)).text()]).toEqual([target, "exact"])
    // What is matched is what is sent.
    expect(seen(await at("/x//y/./z/../%7Eme?q=%2e%2e")).target).toBe("/x/y/~me?q=%2e%2e")
    expect((await at("/a%00b")).status).toBe(400)
    expect((await get(gateway.port("second"), "/a%2Fb")).status).toBe(400)
    expect(seen(await get(gateway.port("second"), "//x")).target).toBe("//x")
  })

  test("TRACE is refused where no route asks for it", async () => {
    expect((await exchange(gateway.port("first"), "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n")).status).toBe(405)
  })

  test("an absolute-form target is understood, its authority is the host", async () => {
    const response = await exchange(gateway.port("first"), "GET http://shop.example/x?y HTTP/1.1\r\nhost: shop.example\r\n\r\n")
    expect(seen(response)).toMatchObject({ name: "b", target: "/x?y" })
  })

  test("OPTIONS * is forwarded as it is", async () => {
    expect(seen(await exchange(gateway.port("first"), "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", "OPTIONS"))).toMatchObject({
      method: "OPTIONS",
      target: "*",
    })
  })
})

describe("actions", () => {
  test("rewrites change path and host, and keep the query", async () => {
    const rewritten = seen(await at("/old/api/users?id=1"))
    expect(rewritten.target).toBe("/v1/users?id=1")
    expect(rewritten.fields).toContainEqual(["host", "inner.example"])
    expect(rewritten.fields).toContainEqual(["x-forwarded-host", "localhost"])
    expect(seen(await at("/old/api")).target).toBe("/v1")
    expect(seen(await at("/strip/x")).target).toBe("/x")
    expect(seen(await at("/strip")).target).toBe("/")
    expect(seen(await at("/fixed/x/y?z")).target).toBe("/one?z")
  })

  test("redirects point where they say", async () => {
    const moved = await at("/moved/x?y=z", { host: "outer.test:81" })
    expect([moved.status, moved.header("location"), moved.body.length]).toEqual([
      308,
      `http://outer.test:${gateway.port("first")}/here/x?y=z`,
      0,
    ])
    const secure = await at("/secure/x")
    expect([secure.status, secure.header("location")]).toEqual([301, "https://safe.example/secure/x"])
  })

  test("direct responses have their status, headers and body", async () => {
    const response = await at("/teapot")
    expect([response.status, response.text(), response.header("content-type"), response.header("x-kind")]).toEqual([
      418,
      '{"tea":true}',
      "application/json",
      "pot",
    ])
    const empty = await at("/nothing")
    expect([empty.status, empty.header("content-length"), empty.body.length]).toEqual([204, null, 0])
  })

  test("header edits of route and backend apply both ways", async () => {
    const response = await at("/edits", { "x-secret": "s", "x-set": "old", "x-many": "one", "x-order": "client" })
    const { fields } = seen(response)
    expect(fields.filter(([name]) => name.startsWith("x-") && !name.startsWith("x-forwarded") && name !== "x-request-id")).toEqual(
      expect.arrayContaining([
        ["x-set", "new"],
        ["x-order", "backend"],
        ["x-many", "one"],
        ["x-many", "three"],
      ]),
    )
    expect(fields.map(([name]) => name)).not.toContain("x-secret")
    expect(response.header("content-type")).toBeNull()
    expect(response.header("x-from")).toBe("edge")
    expect(response.fields.filter(([name]) => name === "x-added").map(([, value]) => value)).toEqual(["backend", "route"])
  })

  test("weights share requests out", async () => {
    const client = await RawClient.connect(gateway.port("first"))
    const found: Record<string, number> = { a: 0, b: 0 }
    for (let i = 0; i < 400; i++) {
      client.send("GET /split HTTP/1.1\r\nhost: x\r\n\r\n")
      found[seen(await client.readResponse()).name]++
    }
    client.destroy()
    // 300 expected; 6 standard deviations are 52.
    expect(Math.abs(found.a - 300)).toBeLessThan(52)
    expect(found.a + found.b).toBe(400)
  })

  test("a backend that doesn't exist is 500, for its share of the requests", async () => {
    expect((await at("/gone")).status).toBe(500)
    expect((await at("/no-backends")).status).toBe(500)
    const statuses = new Set((await Promise.all(Array.from({ length: 40 }, () => at("/half-gone")))).map(({ status }) => status))
    expect([...statuses].sort()).toEqual([200, 500])
  })
})

describe("forwarded fields", () => {
  const ours = { "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "x-forwarded-host": "outer.example", "x-request-id": "mine-1" }

  test("nothing a client says about itself is believed", async () => {
    const fields = Object.fromEntries(seen(await get(gateway.port("first"), "/", ours)).fields)
    expect(fields).toMatchObject({ "x-forwarded-for": "1.2.3.4, 127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "localhost" })
    expect(fields["x-request-id"]).not.toBe("mine-1")
  })

  test("what a trusted proxy says is kept", async () => {
    const fields = Object.fromEntries(seen(await get(gateway.port("second"), "/", ours)).fields)
    expect(fields).toMatchObject({ ...ours, "x-forwarded-for": "1.2.3.4, 127.0.0.1" })
  })
})
