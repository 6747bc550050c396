import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { AccessLogConfig } from "../../../gateway/config/access-log-model.ts"
import { AccessFormat } from "../../../gateway/telemetry/access-format.ts"
import { type AccessEntry, AccessLog, type AccessLogOptions, type TcpAccessEntry } from "../../../gateway/telemetry/access-log.ts"
import { jsonText } from "../../../gateway/telemetry/access-text.ts"
import { accessEntry } from "./support/access-entry.ts"

const entry: AccessEntry = accessEntry({ userAgent: "curl/8" })

function config(when: AccessLogConfig["when"]): AccessLogConfig {
  return { when, only: null, to: { kind: "stdout" }, format: { kind: "json" }, headers: { request: [], response: [] }, redact: null }
}

/** What records exchanges as `when` says, and hands lines to `take`. */
function log(when: AccessLogConfig["when"], take: (lines: string) => void, more: Partial<AccessLogOptions> = {}): AccessLog {
  const made = new AccessLog({ random: Math.random, post: ({ lines }) => take(lines), ...more })
  made.use(config(when))
  return made
}

describe("line", () => {
  test("has every field under its name", () => {
    expect(new AccessFormat().line(entry)).toBe(
      '{"time":"2026-01-02T03:04:05.007Z","method":"GET","path":"/a","authority":"shop.example.com","protocol":"HTTP/1.1","status":200,' +
        '"durationMs":1.235,"ttfbMs":1,"requestBytes":0,"responseBytes":1024,"listener":"edge","route":"api","service":"users",' +
        '"upstream":"10.0.0.4:9001","source":"10.1.1.1:4711","requestId":"r-1","userAgent":"curl/8"}\n',
    )
  })

  test("leaves out what there was not", () => {
    const failed = {
      ...entry,
      flag: "UF,CT",
      flagDetails: "after 5 s",
      timeToFirstByte: -1,
      service: "",
      upstream: "",
      userAgent: "",
      requestId: "",
      route: "",
    }
    const line = JSON.parse(new AccessFormat().line(failed))
    expect(line).toMatchObject({ flag: "UF,CT", flagDetails: "after 5 s" })
    for (const name of ["open", "ttfbMs", "service", "upstream", "userAgent", "requestId", "route"]) expect(line).not.toHaveProperty(name)
    expect(JSON.parse(new AccessFormat().line({ ...entry, open: true })).open).toBe(true)
  })

  test("times are right over seconds, before the epoch and when they are none", () => {
    const format = new AccessFormat()
    for (const time of [0, 999, 1000, 1059.999, 60_000, -1, Date.UTC(2026, 11, 31, 23, 59, 59, 999)]) {
      expect(JSON.parse(format.line({ ...entry, startTime: time })).time).toBe(new Date(Math.floor(time)).toISOString())
    }
    expect(JSON.parse(format.line({ ...entry, startTime: Number.NaN, duration: Number.NaN }))).toMatchObject({
      time: "1970-01-01T00:00:00.000Z",
      durationMs: 0,
    })
  })

  test("any latin1 or other text survives as one line without control characters", () => {
    const units = fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 0xffff })), { maxLength: 60 })
    fc.assert(
      fc.property(units, (codes) => {
        const text = String.fromCharCode(...codes)
        const json = jsonText(text, 1000)
        expect(JSON.parse(json)).toBe(text)
        expect(json).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/)
      }),
      { numRuns: 3000 },
    )
  })

  test("long texts are cut: a path to 2048 characters, others to 512", () => {
    const line = JSON.parse(new AccessFormat().line({ ...entry, path: `/${"p".repeat(9000)}`, userAgent: "u".repeat(9000) }))
    expect(line.path.length).toBe(2048)
    expect(line.userAgent.length).toBe(512)
  })
})

describe("log", () => {
  test("mode decides which exchanges get a line, and can change", () => {
    const posted: string[] = []
    const made = log("errors", (lines) => posted.push(lines))
    const offer = (flag: string): void => {
      if (made.wants(flag, 200, 1)) made.record({ ...entry, flag })
    }
    offer("")
    offer("UF")
    made.use(config("all"))
    offer("")
    made.use(config("off"))
    offer("UF")
    made.flush()
    expect(
      posted
        .join("")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).flag ?? "none"),
    ).toEqual(["UF", "none"])
  })

  test("lines leave together after the interval", async () => {
    const batch = await new Promise<string>((resolve) => {
      const made = log("all", resolve, { interval: 5 })
      for (let i = 0; i < 10; i++) made.record(entry)
    })
    expect(batch.match(/\n/g)).toHaveLength(10)
  })

  test("a full batch leaves at once", () => {
    const posted: string[] = []
    const made = log("all", (lines) => posted.push(lines))
    for (let i = 0; i < 1000; i++) made.record(entry)
    expect(posted.length).toBeGreaterThan(3)
    for (const lines of posted) expect(lines.length).toBeGreaterThanOrEqual(65536)
    made.flush()
    expect(posted.join("").match(/\n/g)).toHaveLength(1000)
  })

  test("over its capacity lines are dropped and counted until the main thread has written", () => {
    const posted: string[] = []
    let drops = 0
    const made = log("all", (lines) => posted.push(lines), { capacity: 200_000, onDrop: () => drops++ })
    for (let i = 0; i < 2000; i++) made.record(entry)
    made.flush()
    const first = posted.join("")
    expect(first.length).toBeLessThan(200_000 + 1000)
    expect(drops).toBe(2000 - (first.match(/\n/g) as string[]).length)
    made.record(entry)
    expect(drops).toBe(2001 - (first.match(/\n/g) as string[]).length)
    for (const lines of posted.splice(0)) made.acknowledge(lines.length)
    made.record(entry)
    made.flush()
    expect(posted).toHaveLength(1)
  })
})

test("a TCP connection has a line of its own form", () => {
  const lines: string[] = []
  const made = log("errors", (text) => lines.push(text))
  const offer = (ended: TcpAccessEntry): void => {
    if (made.wants(ended.flag, 0, ended.duration)) made.recordConnection(ended)
  }
  const connection = {
    ...accessEntry({ status: 0, route: "", requestBytes: 7, responseBytes: 9 }),
    protocol: "TCP",
    startTime: 1_700_000_000_000,
    flag: "",
    flagDetails: "",
    duration: 12.3456,
    connectTime: 1.5,
    receivedBytes: 7,
    sentBytes: 9,
    listener: "db",
    requestedServerName: "",
    requestId: "",
    service: "postgres",
    upstream: "10.0.0.1:5432",
    source: "10.0.0.2:40000",
    security: null,
  }
  offer(connection)
  made.flush()
  expect(lines).toEqual([])
  offer({ ...connection, flag: "UF", flagDetails: "ECONNREFUSED", connectTime: -1, sentBytes: 0 })
  made.flush()
  expect(lines).toEqual([
    '{"time":"2023-11-14T22:13:20.000Z","protocol":"TCP","flag":"UF","flagDetails":"ECONNREFUSED","durationMs":12.346,"receivedBytes":7,"sentBytes":0,"listener":"db","service":"postgres","upstream":"10.0.0.1:5432","source":"10.0.0.2:40000"}\n',
  ])
  lines.length = 0
  offer({
    ...connection,
    flag: "DC",
    connectTime: -1,
    service: "",
    upstream: "",
    requestedServerName: "db.example.com",
    requestId: "00ff",
  })
  made.flush()
  expect(lines).toEqual([
    '{"time":"2023-11-14T22:13:20.000Z","protocol":"TCP","flag":"DC","durationMs":12.346,"receivedBytes":7,"sentBytes":9,"listener":"db","serverName":"db.example.com","requestId":"00ff","source":"10.0.0.2:40000"}\n',
  ])
})
