import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import type { CaseResult } from "../../../gateway/testing/case-runner.ts"
import { CaseRunner } from "../../../gateway/testing/case-runner.ts"
import { parseTests } from "../../../gateway/testing/case-schema.ts"
import { FilterLoader, findFilter } from "../../../gateway/testing/loader.ts"
import { buffering, calling, counting, folder, marking, refusing, removeGuests, replying, waiting } from "./guests.ts"

afterAll(removeGuests)

/** Runs one case against a guest. */
async function run(module: string, one: object, file: object = {}): Promise<CaseResult> {
  const parsed = parseTests(JSON.stringify({ ...file, cases: [{ name: "a case", ...one }] }), "tests.json")
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  const place = findFilter(module)
  const loader = new FilterLoader(null)
  const runner = new CaseRunner(parsed.tests, place, async (memory) => (await loader.load(place, memory)).module)
  return runner.run(parsed.tests.cases[0])
}

/** What is wrong, as `path: expected | actual`. */
async function wrong(module: string, one: object, file: object = {}): Promise<string[]> {
  const { differences, error } = await run(module, one, file)
  return [
    ...(error === "" ? [] : [error]),
    ...differences.map(({ step, path, expected, actual }) => `${step}${step === "" ? "" : " "}${path}: ${expected} | ${actual}`),
  ]
}

describe("a case", () => {
  test("passes when everything is as expected", async () => {
    const result = await run(marking(), {
      request: { method: "PUT", path: "/a?b", headers: { "x-list": ["1", "2"] }, json: { a: [1] } },
      upstream: { status: 201, headers: { server: "up" }, json: { b: 2 } },
      expect: {
        upstream: {
          method: "PUT",
          path: "/a?b",
          authority: "example.com",
          service: "upstream",
          headers: { "x-seen": "yes", "x-list": ["1", "2"], "x-other": null, "x-request-id": { matches: "^[0-9a-f]{32}$" } },
          json: { a: [1] },
        },
        response: {
          status: 201,
          headers: { server: { contains: "u" }, "x-seen": { contains: ["y", "s"] } },
          json: { b: 2 },
          body: { contains: '"b"' },
        },
        reply: false,
        flag: "",
        logs: [],
        metrics: {},
        calls: 0,
        shared: { nothing: null },
      },
    })
    expect(result).toMatchObject({ name: "a case", passed: true, error: "", differences: [] })
  })

  test("tells every difference, with its place", async () => {
    const found = await wrong(marking(), {
      request: { body: "x" },
      upstream: { status: 200, body: "no json" },
      expect: {
        upstream: {
          method: "GET",
          headers: { "x-seen": null, "x-other": "1", "x-also": { matches: "^a" } },
          body: { contains: "y" },
          chunks: 2,
        },
        response: { status: 404, headers: { "x-seen": ["yes", "no"] }, json: { a: 1 } },
        reply: true,
        flag: "LR",
        logs: [{ level: "warn", contains: "hm" }],
        metrics: { seen: 1 },
        calls: 1,
        shared: { a: "b" },
      },
    })
    expect(found).toEqual([
      'flag: "LR" | ""',
      'upstream.method: "GET" | "POST"',
      'upstream.headers.x-seen: absent | "yes"',
      'upstream.headers.x-other: "1" | absent',
      "upstream.headers.x-also: a match of /^a/ | absent",
      'upstream.body: a text with "y" | "x"',
      "upstream.chunks: 2 | 1",
      "response.status: 404 | 200",
      'response.headers.x-seen: ["yes","no"] | ["yes"]',
      'response.json: {\n  "a": 1\n} | no JSON: "no json"',
      "reply: true | false",
      'logs[0]: a line of level warn with "hm" | no line was logged',
      "metrics.seen: 1 | no such metric; the filter has defined none",
      "calls: 1 | 0",
      "shared.a: a value | absent",
    ])
  })

  test("fails when the filter fails, unless that is expected", async () => {
    const request = { headers: { "x-trap": "1" } }
    expect(await wrong(counting(), { request })).toEqual([expect.stringMatching(/^flag: a filter that works \| FT: counting:trap$/)])
    expect(await wrong(counting(), { request, expect: { flag: "FT", response: { status: 500 } } })).toEqual([])
    expect(await wrong(counting(), { request, onError: "skip", expect: { response: { status: 200 } } })).toEqual([])
  })

  test("fails when the exchange hangs, unless that is expected", async () => {
    expect((await wrong(waiting(), { request: {} })).join()).toMatch(/^pending: false \| the filter holds the exchange back/)
    const steps = [
      { request: {}, expect: { pending: true, upstream: null, response: null } },
      { advance: "1s", expect: { response: { status: 200 } } },
    ]
    expect(await wrong(waiting(), { steps })).toEqual([])
    expect(await wrong(waiting(), { steps: [steps[0], { advance: "10ms", expect: { response: { status: 200 } } }] })).toEqual([
      expect.stringMatching(/^steps\[1\] pending/),
      "steps[1] response: a response | the client got nothing",
    ])
  })

  test("of a reply knows that nothing went upstream", async () => {
    expect(
      await wrong(replying(), { request: {}, expect: { upstream: null, reply: true, response: { status: 418, body: "tea" } } }),
    ).toEqual([])
    expect(await wrong(replying(), { request: {}, expect: { upstream: {} } })).toEqual([
      "upstream: a request | nothing went upstream: the client was answered 418 (teapot)",
    ])
  })

  test("can expect that a configuration is refused, and fails when one is that should not", async () => {
    expect(await wrong(refusing(), { refused: { contains: "needs a key" } })).toEqual([])
    expect(await wrong(refusing(), { refused: "other" })).toEqual([expect.stringMatching(/^refused: "other" \| ".*needs a key"$/)])
    expect(await wrong(refusing(), { request: {} })).toEqual([expect.stringMatching(/needs a key/)])
    expect(await wrong(marking(), { refused: "other" })).toEqual(["refused: the filter refuses its configuration | it takes it"])
  })

  test("plays services in order, and compares what they are asked", async () => {
    const services = {
      idp: [
        {
          expect: { method: "GET", path: "/keys", headers: { authorization: null }, timeout: "500ms" },
          respond: { status: 200, after: "20ms" },
        },
        { respond: { fail: "timeout" } },
      ],
    }
    const expectLogs = { logs: [{ contains: "answer" }], calls: { idp: 1 } }
    expect(
      await wrong(calling(), {
        services,
        steps: [
          { request: {}, expect: expectLogs },
          { request: {}, expect: expectLogs },
        ],
      }),
    ).toEqual([])
    expect(await wrong(calling(), { services, request: {} })).toEqual([
      "services.idp: the service is called 2 times | it was called 1 time",
    ])
    const other = { idp: [{ expect: { path: "/other", method: "POST" }, respond: {} }] }
    expect(await wrong(calling(), { services: other, request: {} })).toEqual([
      'services.idp[0].expect.method: "POST" | "GET"',
      'services.idp[0].expect.path: "/other" | "/keys"',
    ])
    expect(await wrong(calling(), { services: { idp: [] }, request: {} })).toEqual([
      "services: every callout is answered | service idp: was asked for GET /keys, and all its 0 answers were given",
    ])
    expect((await wrong(calling(), { request: {} })).join()).toContain('the filter called service "idp", which is not among')
    expect(await wrong(calling(), { services: { idp: null }, request: {}, expect: { logs: [{ contains: "call 2" }] } })).toEqual([])
    expect(await wrong(calling(), { services: { idp: { respond: {} } }, request: {}, repeat: 3 })).toEqual([])
  })

  test("lays its settings over the file's", async () => {
    const file = { shared: { a: "1", last: "3" }, clock: "2026-03-01T00:00:00Z", services: { idp: { respond: { status: 200 } } } }
    expect(
      await wrong(counting(), { shared: { a: "2" }, request: {}, expect: { shared: { a: "2", last: "7" }, metrics: { seen: 1 } } }, file),
    ).toEqual([])
    expect(await wrong(calling(), { request: {}, expect: { calls: 1 } }, file)).toEqual([])
  })

  test("repeats a step, and says in which round it failed", async () => {
    expect(await wrong(counting(), { request: {}, repeat: 2, expect: { metrics: { seen: 1 } } })).toEqual(["round 2 metrics.seen: 1 | 2"])
  })

  test("hands bodies on in pieces, with trailers", async () => {
    const request = { chunks: ["ab", "c", ""], trailers: { "x-sum": "1" } }
    const expected = { upstream: { body: "<abc", trailers: { "x-sum": "1" }, headers: { "content-length": null } } }
    // Its trailers follow: the guest, which has no callback for them, is told the end with the last piece all the same.
    expect(await wrong(buffering(), { request, expect: expected })).toEqual([])
    const bytes = { request: { body: { $bytes: "gP8=" } }, expect: { upstream: { body: { $bytes: "PID/" } } } }
    expect(await wrong(buffering(), bytes)).toEqual([])
    expect(await wrong(buffering(), { ...bytes, expect: { upstream: { body: { $bytes: "gP8=" } } } })).toEqual([
      "upstream.body: 2 octets 80ff | 3 octets 3c80ff",
    ])
  })

  test("saves values for later steps", async () => {
    const steps = [
      {
        request: { path: "/a" },
        upstream: { headers: { "set-cookie": "csrf=t0ken; Path=/" } },
        save: { token: { from: "response.headers.set-cookie", matches: "csrf=([^;]+)" }, path: { from: "upstream.path" } },
      },
      {
        request: { headers: { cookie: { $join: ["csrf=", { $value: "token" }] } } },
        expect: { upstream: { headers: { cookie: "csrf=t0ken" } } },
      },
    ]
    expect(await wrong(marking(), { steps })).toEqual([])
    const missing = [{ ...steps[0], save: { token: { from: "response.headers.x-none" } } }]
    expect(await wrong(marking(), { steps: missing })).toEqual(["save.token: response.headers.x-none is there | absent"])
  })

  test("computes times by its own clock, which steps move", async () => {
    const at = (time: unknown): object => ({
      request: { headers: { "x-at": { $time: time } } },
      expect: { upstream: { headers: { "x-at": "1780000060" } } },
    })
    const steps = [{ advance: "1m" }, at("now"), { advance: "1h" }, at("-1h")]
    expect(await wrong(marking(), { clock: "2026-05-28T20:26:40Z", steps })).toEqual([])
  })

  test("says what is wrong with a template", async () => {
    expect(await wrong(marking(), { request: { path: { $value: "nope" } } })).toEqual([
      '$value: nothing is called "nope": it is not in "values", and no step has saved it',
    ])
    expect(await wrong(marking(), { request: { path: { $jwt: { key: "k1" } } } })).toEqual(['there is no key "k1" in "keys"'])
  })
})

test("a filter is found by its folder, its source or its module, with the manifest that is about it", () => {
  const home = join(dirname(marking()), "found")
  mkdirSync(home)
  writeFileSync(join(home, "filter.ts"), "")
  writeFileSync(join(home, "other.wasm"), "")
  writeFileSync(join(home, "filter.json"), JSON.stringify({ name: "named", module: "filter.ts" }))
  expect(findFilter(home)).toMatchObject({ name: "named", module: join(home, "filter.ts"), manifest: { name: "named" } })
  expect(findFilter(join(home, "filter.ts")).name).toBe("named")
  expect(findFilter(join(home, "other.wasm"))).toMatchObject({ name: "other", manifest: null })
  expect(() => findFilter(join(home, "missing.ts"))).toThrow("does not exist")
  expect(() => findFilter(folder)).toThrow("there is no filter.ts in it")
  writeFileSync(join(home, "filter.json"), '{ "name": "Named" }')
  expect(() => findFilter(home)).toThrow(/filter\.json:1:\d+: name: .*can't name a filter/)
})
