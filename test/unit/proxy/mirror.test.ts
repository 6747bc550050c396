import { describe, expect, test } from "vitest"
import type { UpstreamHandler, UpstreamStream } from "../../../gateway/http/exchange.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { Mirrors } from "../../../gateway/proxy/mirror.ts"
import { MirrorSender } from "../../../gateway/proxy/mirror-sender.ts"
import { EvenDraws } from "../../../gateway/router/even-draws.ts"
import type { Endpoint } from "../../../gateway/upstream/endpoint.ts"
import type { ConnectionWaiter } from "../../../gateway/upstream/pool.ts"
import type { Service } from "../../../gateway/upstream/services.ts"
import { limitsOf } from "../../support/limits.ts"

/** A connection to the mirror's service that keeps what it is sent. */
class Connection implements UpstreamStream {
  readonly version = "2"
  readonly uses = 0
  readonly writable = true
  handler: UpstreamHandler | null = null
  text = ""
  trailers: string[] = []
  cancelled = false

  send(handler: UpstreamHandler, head: RequestHead, authority: string): "none" | "plain" | "encode" {
    this.handler = handler
    this.text = `${head.method} ${head.path} ${authority}\n${head.fields
      .entries()
      .map((part, i) => part + (i % 2 === 0 ? ": " : "\n"))
      .join("")}`
    if (head.body === "none") return "none"
    return head.fields.has("content-length") ? "plain" : "encode"
  }
  sendBytes(buffer: Buffer, from: number, to: number): void {
    this.text += buffer.toString("latin1", from, to)
  }
  sendEnd(trailers: Fields | null): void {
    this.trailers = trailers === null ? [] : trailers.entries()
  }
  flush(): void {}
  pauseResponse(): void {}
  resumeResponse(): void {}
  cancel(): void {
    this.cancelled = true
  }
  endTunnel(): void {}
}

/** A worker's mirrors to one service, which a test plays. */
class Shadow {
  readonly waiters: ConnectionWaiter[] = []
  readonly results: string[] = []
  /** Copies that need the snapshot. */
  pins = 0
  readonly told: string[] = []
  readonly faults: unknown[] = []
  readonly endpoint: Endpoint
  readonly sender: MirrorSender
  readonly mirrors: Mirrors
  endpoints = 1
  #now = 1000

  constructor(share = 1) {
    const endpoint = {
      address: "10.0.0.1:80",
      active: 0,
      begin(): boolean {
        this.active++
        return true
      },
      end(): void {
        this.active--
      },
      acquire: (waiter: ConnectionWaiter) => this.waiters.push(waiter),
      abandon: () => this.told.push("abandoned"),
      answered: (status: number) => this.told.push(`answered ${status}`) > 0,
      ended() {},
      cutShort: (code: string) => this.told.push(`cut short ${code}`),
      untold() {},
      failed: (code: string) => this.told.push(code),
    }
    this.endpoint = endpoint as unknown as Endpoint
    const service = {
      name: "shadow",
      limits: limitsOf(),
      balancer: { next: () => (this.endpoints > 0 ? this.endpoint : null) },
    } as unknown as Service
    this.sender = new MirrorSender(new TimerWheel(() => this.#now), (error) => this.faults.push(error))
    const snapshot = { pin: () => this.pins++, unpin: () => this.pins-- }
    const target = { service, share, draws: new EvenDraws(0.5, 1), snapshot, count: (result: string) => this.results.push(result) }
    this.mirrors = new Mirrors([target], this.sender, 500)
  }

  /** Lets `ms` go by. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 20) {
      this.#now += 20
      this.sender.wheel.advance()
    }
  }

  /** The connection the copy at `index` was given. */
  connect(index = 0): Connection {
    const connection = new Connection()
    this.waiters[index].onConnection(connection)
    return connection
  }
}

/** The next turn of the event loop: copies are sent in one of their own. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function request(method: string, body: RequestHead["body"], fields: readonly (readonly [string, string])[] = []): RequestHead {
  const head = new RequestHead()
  head.method = method
  head.path = "/a"
  head.authority = "shop.test"
  head.body = body
  for (const [name, value] of fields) head.fields.add(name, value)
  return head
}

function response(status: number, length = 0): ResponseHead {
  const head = new ResponseHead()
  head.status = status
  head.body = length === 0 ? "none" : "length"
  head.contentLength = length
  return head
}

const bytes = (text: string): [Buffer, number, number] => [Buffer.from(text), 0, text.length]

describe("a copy", () => {
  test("is sent in a turn of its own, as the request was when it began", async () => {
    const shadow = new Shadow()
    const head = request("GET", "none", [["x-a", "1"]])
    expect(shadow.mirrors.begin(head, "other.test", false)).not.toBeNull()
    head.reset()
    expect(shadow.waiters.length).toBe(0)
    await turn()
    expect(shadow.connect().text).toBe("GET /a other.test\nx-a: 1\nx-sluice-mirrored: true\n")
  })

  test("of a body is sent when that is complete, with its length", async () => {
    const shadow = new Shadow()
    const copy = shadow.mirrors.begin(request("POST", "close", [["content-length", "7"]]), "a", false)
    copy?.keep(...bytes("hel"))
    copy?.keep(...bytes("lo"))
    await turn()
    expect(shadow.waiters.length).toBe(0)
    copy?.end(null)
    copy?.cancel()
    await turn()
    expect(shadow.connect().text).toBe("POST /a a\nx-sluice-mirrored: true\ncontent-length: 5\nhello")
  })

  test("has the trailers, which the codec may use again, and then no length", async () => {
    const shadow = new Shadow()
    const copy = shadow.mirrors.begin(request("POST", "close"), "a", false)
    const trailers = Fields.from([["x-end", "1"]])
    copy?.keep(...bytes("hello"))
    copy?.end(trailers)
    trailers.clear()
    await turn()
    const connection = shadow.connect()
    expect([connection.text, connection.trailers]).toEqual(["POST /a a\nx-sluice-mirrored: true\nhello", ["x-end", "1"]])
  })

  test("of an empty body says so", async () => {
    const shadow = new Shadow()
    shadow.mirrors.begin(request("POST", "close"), "a", false)?.end(null)
    await turn()
    expect(shadow.connect().text).toBe("POST /a a\nx-sluice-mirrored: true\ncontent-length: 0\n")
  })

  test("of more than 64 KiB isn't sent, nor is one that isn't complete", async () => {
    const shadow = new Shadow()
    const large = shadow.mirrors.begin(request("POST", "close"), "a", false)
    large?.keep(Buffer.alloc(65_536), 0, 65_536)
    large?.keep(...bytes("x"))
    large?.keep(...bytes("y"))
    large?.end(null)
    large?.cancel()
    shadow.mirrors.begin(request("POST", "close"), "a", false)?.cancel()
    await turn()
    expect([shadow.waiters.length, shadow.results]).toEqual([0, ["tooLarge", "incomplete"]])
  })

  test("isn't made of a copy, or of a tunnel", () => {
    const { mirrors } = new Shadow()
    const upgrade = request("GET", "none")
    upgrade.upgrade = "websocket"
    expect(mirrors.begin(request("GET", "none", [["x-sluice-mirrored", "true"]]), "a", false)).toBeNull()
    expect(mirrors.begin(upgrade, "a", false)).toBeNull()
  })

  test("is made of the share of requests that is written, exactly", () => {
    const { mirrors } = new Shadow(0.1)
    let made = 0
    for (let i = 0; i < 10_000; i++) if (mirrors.begin(request("POST", "close"), "a", false) !== null) made++
    expect(Math.abs(made - 1000)).toBeLessThanOrEqual(3)
    expect(new Shadow(0).mirrors.begin(request("GET", "none"), "a", false)).toBeNull()
  })
})

describe("copies under way", () => {
  test("are 128 to a service at most; others are dropped, and room comes back", async () => {
    const shadow = new Shadow()
    for (let i = 0; i < 200; i++) shadow.mirrors.begin(request("GET", "none"), "a", false)
    await turn()
    expect([shadow.waiters.length, shadow.results.length, new Set(shadow.results)]).toEqual([128, 72, new Set(["overflow"])])
    expect(shadow.pins).toBe(128)
    const connection = shadow.connect(0)
    connection.handler?.onResponseHead(response(200))
    connection.handler?.onResponseComplete()
    connection.handler?.onResponseEnd(null)
    expect(shadow.pins).toBe(127)
    shadow.mirrors.begin(request("GET", "none"), "a", false)
    shadow.mirrors.begin(request("GET", "none"), "a", false)
    await turn()
    expect([shadow.waiters.length, shadow.results.at(-2), shadow.results.at(-1)]).toEqual([129, "ok", "overflow"])
  })

  test("that had begun with room are dropped when there is none at their end", async () => {
    const shadow = new Shadow()
    const late = shadow.mirrors.begin(request("POST", "close"), "a", false)
    for (let i = 0; i < 128; i++) shadow.mirrors.begin(request("GET", "none"), "a", false)
    late?.end(null)
    expect(shadow.results).toEqual(["overflow"])
    await turn()
    expect(shadow.waiters.length).toBe(128)
  })

  test("leave nothing behind, whatever becomes of them", async () => {
    const shadow = new Shadow()
    const begin = async (): Promise<Connection> => {
      shadow.mirrors.begin(request("GET", "none"), "a", false)
      await turn()
      return shadow.connect(shadow.waiters.length - 1)
    }
    const well = await begin()
    well.handler?.onResponseHead(response(404, 3))
    well.handler?.onResponseBytes(...bytes("abc"))
    well.handler?.onResponseComplete()
    well.handler?.onResponseEnd(null)
    const unwell = await begin()
    unwell.handler?.onResponseHead(response(500))
    unwell.handler?.onResponseComplete()
    unwell.handler?.onResponseEnd(null)
    const broken = await begin()
    broken.handler?.onUpstreamFailed("upstreamReset", "", true)
    const endless = await begin()
    endless.handler?.onResponseHead(response(200, 3_000_000))
    const streaming = await begin()
    streaming.handler?.onResponseHead({ ...response(200), body: "close" } as ResponseHead)
    for (let i = 0; i < 20; i++) streaming.handler?.onResponseBytes(Buffer.alloc(65_536), 0, 65_536)
    const silent = await begin()
    shadow.pass(560)
    shadow.mirrors.begin(request("GET", "none"), "a", false)
    await turn()
    shadow.waiters.at(-1)?.onNoConnection("connectFailure", "")
    shadow.mirrors.begin(request("GET", "none"), "a", false)
    await turn()
    // A limit of the gateway's own, of which the endpoint isn't told.
    shadow.waiters.at(-1)?.onNoConnection("queueTimeout", "")
    shadow.mirrors.begin(request("GET", "none"), "a", false)
    await turn()
    shadow.pass(560)
    shadow.endpoints = 0
    shadow.mirrors.begin(request("GET", "none"), "a", false)
    await turn()
    expect(shadow.results).toEqual(["ok", "error", "failed", "ok", "ok", "timeout", "failed", "overflow", "timeout", "failed"])
    expect([endless.cancelled, streaming.cancelled, silent.cancelled]).toEqual([true, true, true])
    expect(shadow.told).toEqual([
      "answered 404",
      "answered 500",
      "upstreamReset",
      "answered 200",
      "answered 200",
      "responseTimeout",
      "connectFailure",
      "abandoned",
    ])
    expect([shadow.endpoint.active, shadow.faults]).toEqual([0, []])
    for (let i = 0; i < 128; i++) expect(shadow.sender.full({ name: "shadow" } as Service)).toBe(false)
  })

  test("that are faulty are counted, and the others are sent", async () => {
    const shadow = new Shadow()
    const { endpoint } = shadow
    const acquire = endpoint.acquire
    endpoint.acquire = () => {
      endpoint.acquire = acquire
      throw new Error("a fault of ours")
    }
    for (let i = 0; i < 2; i++) shadow.mirrors.begin(request("GET", "none"), "a", false)
    await turn()
    expect([shadow.faults.length, shadow.results, shadow.waiters.length, endpoint.active]).toEqual([1, ["failed"], 1, 1])
  })
})
