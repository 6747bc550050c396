import { describe, expect, test } from "vitest"
import type { Config } from "../../../../gateway/config/model.ts"
import type { RateLimitConfig } from "../../../../gateway/config/rate-limit-model.ts"
import { type ChainOwner, ChainRun } from "../../../../gateway/filter/chain.ts"
import type { LocalReply, StreamInfo } from "../../../../gateway/filter/filter.ts"
import type {
  RateLimitAsk,
  RateLimitDecider,
  RateLimitVerdict,
  RateLimitWaiter,
} from "../../../../gateway/filter/native/rate-limit-decider.ts"
import { claim, segment } from "../../../../gateway/filter/native/rate-limit-keys.ts"
import { RateLimitState } from "../../../../gateway/filter/native/rate-limit-state.ts"
import { RateLimits } from "../../../../gateway/filter/native/rate-limits.ts"
import { clientNetwork } from "../../../../gateway/http/client-network.ts"
import { cookieValue } from "../../../../gateway/http/cookies.ts"
import { RequestHead, ResponseHead } from "../../../../gateway/http/message.ts"
import { MetricsRegistry } from "../../../../gateway/telemetry/metrics-registry.ts"

/** Decides as its test says. */
class Decider implements RateLimitDecider {
  readonly asked: string[][] = []
  verdicts: (RateLimitVerdict | null)[] = []
  waiter: RateLimitWaiter | null = null
  forgotten = 0

  decide(asks: readonly RateLimitAsk[], waiter: RateLimitWaiter): RateLimitVerdict | null {
    this.asked.push(asks.map(({ rule, values, requests }) => `${rule.name} ${values.join(",")} ${requests}`))
    this.waiter = waiter
    return this.verdicts.shift() ?? null
  }

  forget(waiter: RateLimitWaiter): void {
    if (waiter === this.waiter) this.forgotten++
  }
}

function verdict(allowed: boolean, more: Partial<RateLimitVerdict> = {}): RateLimitVerdict {
  return {
    allowed,
    decided: true,
    index: 0,
    limit: 50,
    remaining: allowed ? 1 : 0,
    reset: 2000,
    retryAfter: allowed ? 0 : 1500,
    requestHeaders: [],
    responseHeaders: [],
    ...more,
  }
}

function limit(name: string, more: Partial<RateLimitConfig> = {}): RateLimitConfig {
  return {
    name,
    policy: "route",
    requests: 2,
    per: 3_600_000,
    burst: 2,
    scope: "local",
    descriptor: [],
    by: [],
    overrides: [],
    missing: "share",
    shadow: false,
    status: 429,
    headers: true,
    ...more,
  }
}

/** A route with these limits; those whose name begins with `remote` are the decider's. */
class Route {
  readonly registry = new MetricsRegistry()
  readonly state = new RateLimitState(this.registry)
  readonly decider = new Decider()
  readonly limits: readonly RateLimitConfig[]
  #limits: RateLimits

  constructor(...limits: RateLimitConfig[]) {
    this.limits = limits
    this.#limits = this.load(limits)
  }

  /** As a reload does it. */
  load(limits: readonly RateLimitConfig[]): RateLimits {
    const config = { listeners: [], services: {}, routes: [{ rateLimits: limits }] } as unknown as Config
    const spec = this.state.assign(config)
    this.state.keepOnly(config)
    this.#limits = new RateLimits(spec, {
      metrics: this.registry.writer,
      decider: ({ name }) => (name.startsWith("remote") ? this.decider : null),
    })
    return this.#limits
  }

  open(limits = this.limits, claims?: object): Exchange {
    return new Exchange(this.#limits, limits, claims)
  }

  async count(name: string, outcome: string): Promise<number> {
    const { body } = await this.registry.exposition()
    const line = new RegExp(`^sluice_rate_limit_total\\{outcome="${outcome}",limit="${name}"\\} (\\d+)$`, "m").exec(body)
    return Number(line?.[1] ?? Number.NaN)
  }
}

/** One request of a route, with headers `x-user: alice`, on its way through the limits. */
class Exchange {
  readonly head = new RequestHead()
  readonly chain: ChainRun
  reply: LocalReply | null = null
  passed = false

  constructor(limits: RateLimits, configs: readonly RateLimitConfig[], claims?: object) {
    this.head.fields.add("x-user", "alice")
    this.head.path = "/a/b"
    const owner: ChainOwner = {
      onRequestFiltered: () => {
        this.passed = true
      },
      onFilterReply: (reply) => {
        this.reply = reply
      },
      onResponseFiltered: () => {},
      onFilterFailed: () => {},
      onFilterReset: () => {},
      onRequestBody: () => {},
      onRequestBodyEnd: () => {},
      onResponseBody: () => {},
      onResponseBodyEnd: () => {},
      onRequestHold: () => {},
      onResponseHold: () => {},
      onBodiesMoved: () => {},
      requestSent: false,
      responseSent: false,
      chooseService: () => false,
      clearRoute: () => {},
    }
    const info = { sourceAddress: "2001:db8::7", security: null } as StreamInfo
    const verify = {
      name: "verify",
      interests: 0,
      bodyLimit: 0,
      open: (stream: ChainRun) => {
        if (claims !== undefined) stream.setProperty("wasm.jwt_claims", Buffer.from(JSON.stringify(claims)))
        return null
      },
    }
    this.chain = new ChainRun(limits.around([], configs, [verify as never]), info, this.head, owner)
    this.chain.runRequest(true)
  }

  /** Names and values of the response's fields. */
  respond(...fields: readonly [string, string][]): Record<string, string> {
    const head = new ResponseHead()
    for (const [name, value] of fields) head.fields.add(name, value)
    this.chain.runResponse(head, true)
    const seen: Record<string, string> = {}
    head.fields.forEach((name, value) => {
      seen[name] = value
    })
    return seen
  }
}

describe("a limit that others decide on", () => {
  test("is asked about after those of this process, with what the request has", () => {
    const by = [{ text: "header:x-user", kind: "header", name: "x-user" } as const]
    const route = new Route(limit("remote:a", { by }), limit("remote:b", { requests: 7 }), limit("own", { requests: 1, burst: 1 }))
    route.decider.verdicts = [verdict(true)]
    expect(route.open().passed).toBe(true)
    expect(route.decider.asked).toEqual([["remote:a alice 2", "remote:b  7"]])
    expect(route.open().reply?.details).toBe("own")
    expect(route.decider.asked).toHaveLength(1)
  })

  test("holds the request until its verdict comes", () => {
    const route = new Route(limit("remote"))
    const exchange = route.open()
    expect(exchange.passed).toBe(false)
    route.decider.waiter?.onVerdict(verdict(true, { requestHeaders: ["x-plan", "gold"], responseHeaders: ["x-left", "9"] }))
    expect(exchange.passed).toBe(true)
    expect(exchange.head.fields.get("x-plan")).toBe("gold")
    expect(exchange.respond()).toEqual({
      "ratelimit-limit": "50",
      "ratelimit-remaining": "1",
      "ratelimit-reset": "2",
      "ratelimit-policy": '"route";q=2;w=3600',
      "x-left": "9",
    })
  })

  test("refuses with the figures of its verdict, and what this process had counted is given back", async () => {
    const route = new Route(limit("own", { requests: 1, burst: 1 }), limit("remote", { status: 503 }))
    const refused = route.open()
    route.decider.waiter?.onVerdict(verdict(false, { responseHeaders: ["x-why", "quota"] }))
    expect(refused.passed).toBe(false)
    expect(refused.reply).toMatchObject({
      status: 503,
      code: "rateLimited",
      details: "remote",
      headers: [
        ...["retry-after", "2", "ratelimit-limit", "50", "ratelimit-remaining", "0", "ratelimit-reset", "2"],
        ...["ratelimit-policy", '"route";q=1;w=3600, "route";q=2;w=3600', "x-why", "quota"],
      ],
    })
    route.decider.verdicts = [verdict(true)]
    expect(route.open().passed).toBe(true)
    expect([await route.count("remote", "limited"), await route.count("remote", "allowed")]).toEqual([1, 1])
  })

  test("is not waited for by a request that is gone", () => {
    const route = new Route(limit("remote"))
    const exchange = route.open()
    exchange.chain.done()
    expect(route.decider.forgotten).toBe(1)
    route.decider.waiter?.onVerdict(verdict(true))
    expect(exchange.passed).toBe(false)
  })

  test("says when nobody could be asked, and does as the verdict says", async () => {
    const route = new Route(limit("remote"))
    route.decider.verdicts = [verdict(true, { decided: false, limit: -1 }), verdict(false, { decided: false, limit: -1 })]
    const exchange = route.open()
    expect([exchange.passed, exchange.respond()]).toEqual([true, {}])
    expect(route.open().reply).toMatchObject({ status: 503, headers: [], code: "rateLimitUnavailable", details: "remote" })
    expect(await route.count("remote", "unavailable")).toBe(2)
  })

  test("in shadow refuses nothing", async () => {
    const route = new Route(limit("remote", { shadow: true }))
    route.decider.verdicts = [verdict(false)]
    const exchange = route.open()
    expect([exchange.passed, exchange.respond()]).toEqual([true, {}])
    expect(await route.count("remote", "shadow")).toBe(1)
  })
})

test("a limit by a claim is asked about behind the filter that has verified it", () => {
  const by = [{ text: "claim:org.id", kind: "claim", name: "org.id" } as const]
  const route = new Route(limit("claims", { by, requests: 1, burst: 1, missing: "deny" }))
  expect(route.open(route.limits, { org: { id: 7 } }).passed).toBe(true)
  expect(route.open(route.limits, { org: { id: 8 } }).passed).toBe(true)
  expect(route.open(route.limits, { org: { id: 7 } }).reply?.details).toBe("claims")
  expect(route.open(route.limits, { org: {} }).reply?.details).toBe("claims:missing")
  expect(route.open().reply?.details).toBe("claims:missing")
})

test("a limit keeps its bucket while it is the same, and one that is new gets a full one", () => {
  const route = new Route(limit("a"))
  expect([route.open().passed, route.open().passed, route.open().passed]).toEqual([true, true, false])
  route.load(route.limits)
  expect(route.open().passed).toBe(false)
  const other = [limit("b")]
  for (let i = 0; i < 3; i++) {
    route.load([limit(`other-${i}`)])
    route.load(other)
  }
  expect(route.open(other).passed).toBe(true)
  route.load(route.limits)
  expect(route.open().passed).toBe(true)
})

describe("figures in responses", () => {
  test("are those of the limit with the fewest left, and of none whose headers are off", () => {
    const route = new Route(
      limit("a", { requests: 9, burst: 9 }),
      limit("b", { requests: 5, per: 500, burst: 3, policy: "b" }),
      limit("c", { requests: 2, burst: 2, headers: false }),
    )
    expect(route.open().respond()).toEqual({
      "ratelimit-limit": "5",
      "ratelimit-remaining": "2",
      "ratelimit-reset": "1",
      "ratelimit-policy": '"route";q=9;w=3600, "b";q=10;w=1',
    })
  })

  test("take the place of a service's that has more left", () => {
    const route = new Route(limit("a"))
    const told = route.open().respond(["ratelimit-limit", "100"], ["ratelimit-remaining", "99"])
    expect([told["ratelimit-limit"], told["ratelimit-remaining"]]).toEqual(["2", "1"])
    const kept = new Route(limit("a")).open().respond(["ratelimit-limit", "100"], ["ratelimit-remaining", "1"])
    expect([kept["ratelimit-limit"], kept["ratelimit-reset"]]).toEqual(["100", undefined])
  })
})

test.each([
  ["10.0.0.7", "10.0.0.7"],
  ["::ffff:10.0.0.7", "10.0.0.7"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["2001:db8:0:0:1:2:3:4", "2001:db8:0:0"],
  ["2001:db8:1:2:3::", "2001:db8:1:2"],
  ["::1", "0:0:0:0"],
  ["2001:db8:1::7:8:9:a", "2001:db8:1:0"],
])("the address %s is counted as %s", (address, network) => {
  expect(clientNetwork(address)).toBe(network)
})

test.each([
  ["a=1; b=2", "b", "2"],
  ["a=1;b=2", "b", "2"],
  ["b=1; b=2", "b", "1"],
  ["ab=1; b=2", "b", "2"],
  ["a=b=2", "b", undefined],
  ["b", "b", undefined],
  ["b=", "b", ""],
  ["", "b", undefined],
  ["; ;b=2;", "b", "2"],
])("of the cookies %j, %s is %j", (header, name, value) => {
  expect(cookieValue(header, name)).toBe(value)
})

test.each([
  ["/a/b/c", 1, "a"],
  ["/a/b/c", 3, "c"],
  ["/a/b/c", 4, ""],
  ["/a/b/", 3, ""],
  ["/", 1, ""],
  ["*", 1, ""],
])("of the path %s, segment %i is %j", (path, index, value) => {
  expect(segment(path, index)).toBe(value)
})

test.each([
  ['{"sub":"alice"}', "sub", "alice"],
  ['{"a.b":"x","a":{"b":"y"}}', "a.b", "x"],
  ['{"a":{"b":["y",1]}}', "a.b", '["y",1]'],
  ['{"n":7,"no":null}', "n", "7"],
  ['{"no":null}', "no", ""],
  ["{}", "__proto__", ""],
  ['{"a":"text"}', "a.length", ""],
  ["not JSON", "sub", ""],
  ["7", "sub", ""],
])("of the claims %s, %s is %j", (json, name, value) => {
  expect(claim(Buffer.from(json), name)).toBe(value)
})

test("claims that are too long are not looked at", () => {
  expect(claim(Buffer.from(JSON.stringify({ sub: "a", more: "x".repeat(20_000) })), "sub")).toBe("")
})
