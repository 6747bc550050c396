import { describe, expect, test } from "vitest"
import { createLogger, type LogEvent } from "../../../gateway/telemetry/log.ts"
import { WorkerLogger } from "../../../gateway/telemetry/worker-log.ts"

const clock = (): number => Date.UTC(2026, 0, 2, 3, 4, 5, 678)

function lines(options: { level?: "debug" | "info"; format?: "human" | "json" | "auto"; terminal?: boolean; colour?: boolean } = {}) {
  const out: string[] = []
  const log = createLogger({ level: "info", format: "json", terminal: false, write: (line) => out.push(line), clock, ...options })
  return { out, log }
}

describe("json", () => {
  test("an event is one object a line", () => {
    const { out, log } = lines()
    log.log("info", "listening", { address: "127.0.0.1:8080", workers: 2, ok: true, none: null, skipped: undefined })
    expect(out).toEqual([
      '{"time":"2026-01-02T03:04:05.678Z","level":"info","message":"listening","address":"127.0.0.1:8080","workers":2,"ok":true,"none":null}\n',
    ])
  })

  test("fields can't take the place of time, level and message", () => {
    const { out, log } = lines()
    log.log("info", "m", { level: "x", message: "y", time: 1 })
    expect(JSON.parse(out[0])).toEqual({
      time: "2026-01-02T03:04:05.678Z",
      level: "info",
      message: "m",
      _level: "x",
      _message: "y",
      _time: 1,
    })
  })

  test("an event stays one line without control characters, whatever is in it", () => {
    const { out, log } = lines()
    const nasty = "a\r\n\x1b[2J\x00\x7f\x9b\u2028\u202e\ud800z"
    log.log("warn", nasty, { [nasty]: nasty, nested: { list: [nasty] } })
    expect(out[0].slice(0, -1)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u202e]/)
    expect(JSON.parse(out[0])).toMatchObject({ message: nasty, [nasty]: nasty, nested: { list: [nasty] } })
  })

  test("long, deep, wide and circular values are cut", () => {
    const { out, log } = lines()
    const circle: Record<string, unknown> = {}
    circle.self = circle
    const wide = Array.from({ length: 1000 }, (_, i) => "x".repeat(1000) + i)
    log.log("info", "m".repeat(100_000), {
      long: "x".repeat(1e6),
      circle,
      bytes: new Uint8Array(9),
      fn: () => 1,
      big: 1n,
      wide,
      wider: wide,
    })
    expect(out[0].length).toBeLessThan(40_000)
    const event = JSON.parse(out[0])
    expect(event.long).toMatch(/^x{2048}… \(997952 more\)$/)
    expect(event.bytes).toBe("[9 bytes]")
    expect(event.fn).toBe("[function]")
    expect(event.big).toBe("1")
    expect(event.wide.at(-1)).toMatch(/^… \(9\d\d more\)$/)
    expect(event["…"]).toBe("more")
  })

  test("what can't be read or written doesn't throw", () => {
    const { out, log } = lines()
    const hostile = {
      get boom(): string {
        throw new Error("no")
      },
    }
    log.log("info", "m", { hostile })
    expect(JSON.parse(out[0]).hostile).toBe("[unreadable]")
    const broken = createLogger({
      level: "info",
      format: "json",
      write: () => {
        throw new Error("EPIPE")
      },
      clock,
    })
    expect(() => broken.log("error", "m")).not.toThrow()
  })

  test("errors keep message, code and cause; their stack only at debug", () => {
    const error = Object.assign(new Error("connect failed", { cause: new Error("why") }), { code: "ECONNREFUSED" })
    const info = lines()
    info.log.log("error", "m", { error })
    expect(JSON.parse(info.out[0]).error).toEqual({ message: "connect failed", code: "ECONNREFUSED", cause: { message: "why" } })
    const debug = lines({ level: "debug" })
    debug.log.log("error", "m", { error })
    expect(JSON.parse(debug.out[0]).error.stack).toContain("log.test")
  })
})

describe("human", () => {
  test("time, level, message, key=value", () => {
    const { out, log } = lines({ format: "human" })
    log.log("warn", "config refused", { file: "a b.yaml", line: 3, error: Object.assign(new Error("no such route"), { code: "E1" }) })
    expect(out).toEqual(['03:04:05.678 WARN  config refused file="a b.yaml" line=3 error="no such route (E1)"\n'])
  })

  test("a message of several lines is indented, so that none looks like an event", () => {
    const { out, log } = lines({ format: "human" })
    log.log("error", "filter.ts:3:5\n03:04:05.678 INFO  fake\x1b[2J\r\n")
    expect(out).toEqual(["03:04:05.678 ERROR filter.ts:3:5\n    03:04:05.678 INFO  fake\\u001b[2J\\r\n"])
  })

  test("stacks follow the line at debug", () => {
    const { out, log } = lines({ format: "human", level: "debug" })
    log.log("error", "m", { error: new Error("boom"), n: 1 })
    const [first, second] = out[0].split("\n")
    expect(first).toBe("03:04:05.678 ERROR m error=boom n=1")
    expect(second).toMatch(/^ {4}\S/)
  })

  test("auto is human on a terminal only, coloured there unless NO_COLOR says no", () => {
    const before = process.env.NO_COLOR
    try {
      delete process.env.NO_COLOR
      const terminal = lines({ format: "auto", terminal: true })
      terminal.log.log("info", "m")
      expect(terminal.out[0]).toBe("\x1b[90m03:04:05.678\x1b[0m \x1b[32mINFO \x1b[0m m\n")
      process.env.NO_COLOR = "1"
      const plain = lines({ format: "auto", terminal: true })
      plain.log.log("info", "m")
      expect(plain.out[0]).toBe("03:04:05.678 INFO  m\n")
      const piped = lines({ format: "auto", terminal: false })
      piped.log.log("info", "m")
      expect(piped.out[0]).toMatch(/^\{/)
    } finally {
      if (before === undefined) delete process.env.NO_COLOR
      else process.env.NO_COLOR = before
    }
  })
})

test("the level can change while running", () => {
  const { out, log } = lines()
  log.log("debug", "1")
  log.level = "debug"
  log.log("debug", "2")
  log.level = "error"
  log.log("warn", "3")
  expect(log.enabled("critical")).toBe(true)
  expect(out.map((line) => JSON.parse(line).message)).toEqual(["2"])
})

describe("worker log", () => {
  test("events reach the main thread's log as if made there", () => {
    const { out, log } = lines()
    const worker = new WorkerLogger({ level: "info", post: (event) => log.forward(structuredClone(event)), clock })
    worker.log("info", "m", { error: new Error("x"), f: () => 1 })
    worker.log("debug", "not wanted")
    expect(out).toEqual(['{"time":"2026-01-02T03:04:05.678Z","level":"info","message":"m","error":{"message":"x"},"f":"[function]"}\n'])
  })

  test("a flood is cut to its rate, and what was lost is told", () => {
    let now = 1000
    let drops = 0
    const events: LogEvent[] = []
    const worker = new WorkerLogger({
      level: "info",
      post: (event) => events.push(event),
      clock: () => now,
      rate: 10,
      burst: 5,
      onDrop: () => drops++,
    })
    for (let i = 0; i < 100; i++) worker.log("info", `${i}`)
    expect(events.map((event) => event.message)).toEqual(["0", "1", "2", "3", "4"])
    expect(drops).toBe(95)
    now += 100
    worker.log("info", "later")
    expect(events.slice(5)).toMatchObject([{ level: "warn", fields: { dropped: 95 } }, { message: "later" }])
    now -= 5000
    worker.log("info", "clock went back")
    now += 100
    worker.log("info", "and on")
    expect(events.at(-1)?.message).toBe("and on")
  })

  test("a dead main thread is no problem of the worker", () => {
    const worker = new WorkerLogger({
      level: "info",
      post: () => {
        throw new Error("port closed")
      },
    })
    expect(() => worker.log("error", "m")).not.toThrow()
  })
})
