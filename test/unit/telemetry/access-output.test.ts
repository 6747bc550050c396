import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { AccessOutput } from "../../../gateway/telemetry/access-output.ts"
import { FailureNotice } from "../../../gateway/telemetry/failure-notice.ts"
import { LogFile } from "../../../gateway/telemetry/log-file.ts"
import { OwnFiles } from "../../../gateway/telemetry/own-files.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-access-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function losses(now: () => number = () => 0) {
  const said: unknown[] = []
  const state = { lost: 0, said }
  const means = {
    now,
    onLost: (lines: number) => {
      state.lost += lines
    },
    log: (...event: unknown[]) => {
      said.push(event)
    },
  }
  return { state, means }
}

const written = (file: LogFile, lines: string, count: number): Promise<void> => new Promise((done) => file.write(lines, count, done))

describe("a file", () => {
  test.skipIf(process.platform !== "linux")("on a full disc costs lines, which are counted, and said once a minute", async () => {
    let now = 0
    const { state, means } = losses(() => now)
    const file = new LogFile("/dev/full", means)
    await written(file, "a\nb\n", 2)
    await written(file, "c\n", 1)
    expect([state.lost, state.said.length]).toEqual([3, 1])
    now = 61_000
    await written(file, "d\n", 1)
    expect(state.lost).toBe(4)
    expect(state.said).toMatchObject([
      ["error", "the access log can't be written", { file: "/dev/full", lost: 2 }],
      ["error", "the access log can't be written", { lost: 2 }],
    ])
    file.close()
  })

  test("is looked for once a second, and opened anew when another stands under its name", async () => {
    const path = join(folder, "looked")
    let now = 0
    const { state, means } = losses(() => now)
    const file = new LogFile(path, means)
    await written(file, "a\n", 1)
    renameSync(path, `${path}.1`)
    now = 999
    await written(file, "b\n", 1)
    now = 1000
    await written(file, "c\n", 1)
    expect([readFileSync(`${path}.1`, "utf8"), readFileSync(path, "utf8")]).toEqual(["a\nb\n", "c\n"])
    expect(state).toEqual({ lost: 0, said: [] })
    file.close()
  })

  // The descriptor may be a client's connection by then.
  test("that is closed writes nothing more, whatever it still had", async () => {
    const path = join(folder, "closed")
    const { state, means } = losses()
    const file = new LogFile(path, means)
    await written(file, "a\n", 1)
    file.close()
    await new Promise(setImmediate)
    await written(file, "b\nc\n", 2)
    expect(readFileSync(path, "utf8")).toBe("a\n")
    expect(state).toMatchObject({
      lost: 2,
      said: [["error", "the access log can't be written", { reason: "it was closed before all was written" }]],
    })
  })

  test("that can't be opened anew goes on as it is, and that is said", async () => {
    const path = join(mkdtempSync(join(folder, "gone-")), "log")
    const { state, means } = losses()
    const file = new LogFile(path, means)
    rmSync(join(path, ".."), { recursive: true })
    file.reopen()
    await written(file, "a\n", 1)
    expect(state.lost).toBe(0)
    expect(state.said).toMatchObject([["error", "the access log can't be written", { reason: expect.stringContaining("ENOENT") }]])
    file.close()
  })
})

test("lines for a destination that isn't in use are counted as lost", () => {
  const lines: string[] = []
  const output = new AccessOutput({
    stdout: (text, done) => {
      lines.push(text)
      done(text !== "lost\n")
    },
    flush: () => Promise.resolve(),
    log: () => {},
    environment: {},
  })
  let lost = 0
  let done = 0
  output.onLost = (count) => {
    lost += count
  }
  output.prepare({ kind: "stdout" })
  output.prepare({ kind: "file", path: join(folder, "unused") })
  output.keepOnly({ kind: "stdout" })
  output.write({ lines: "a\nb\n", count: 2, to: JSON.stringify({ kind: "file", path: join(folder, "unused") }) }, () => done++)
  output.write({ lines: "c\n", count: 1, to: "stdout" }, () => done++)
  expect([lines, lost, done]).toEqual([["c\n"], 2, 2])
  output.write({ lines: "lost\n", count: 1, to: "stdout" }, () => done++)
  expect([lost, done]).toEqual([3, 3])
})

test("a file in use is not asked for again: what has become of it refuses no change of something else", () => {
  const place = mkdtempSync(join(folder, "away-"))
  const to = { kind: "file", path: join(place, "log") } as const
  const output = new AccessOutput({ stdout: () => {}, flush: () => Promise.resolve(), log: () => {}, environment: {} })
  output.prepare(to)
  output.keepOnly(to)
  rmSync(place, { recursive: true })
  output.prepare(to)
  output.keepOnly({ kind: "stdout" })
  expect(() => output.prepare(to)).toThrow("can't be opened")
})

test.skipIf(process.platform !== "linux")("a pipe or a device has the main thread alone to write to it", async () => {
  const { state, means } = losses()
  const [device, file] = ["/dev/full", join(folder, "own")].map((path) => ({ kind: "file", path }) as const)
  const batch = (to: typeof device) => ({ lines: "a\nb\n", count: 2, to: JSON.stringify(to) })
  const own = new OwnFiles(means)
  own.prepare(device)
  own.prepare(file)
  expect(own.write(batch(device), () => {})).toBe(false)
  await new Promise<void>((done) => expect(own.write(batch(file), done)).toBe(true))
  expect([readFileSync(file.path, "utf8"), state.lost]).toEqual(["a\nb\n", 0])
  const output = new AccessOutput({ stdout: () => {}, flush: () => Promise.resolve(), log: means.log, environment: {} })
  output.onLost = means.onLost
  output.prepare(device)
  await new Promise<void>((done) => output.write(batch(device), done))
  expect(state).toMatchObject({ lost: 2, said: [["error", "the access log can't be written", { file: "/dev/full" }]] })
  output.keepOnly({ kind: "stdout" })
  own.keepOnly({ kind: "stdout" })
})

test("lines of a file that is no longer in use are written before the worker ends", async () => {
  const [before, now] = ["before", "now"].map((name) => ({ kind: "file", path: join(folder, name) }) as const)
  const { state, means } = losses()
  const own = new OwnFiles(means)
  own.prepare(before)
  own.write({ lines: "a\n", count: 1, to: JSON.stringify(before) }, () => {})
  own.prepare(now)
  own.keepOnly(now)
  await own.flush(5000)
  expect([readFileSync(before.path, "utf8"), state.lost]).toEqual(["a\n", 0])
})

test("a variable that a receiver's header is in has to be set", () => {
  const output = new AccessOutput({ stdout: () => {}, flush: () => Promise.resolve(), log: () => {}, environment: {} })
  const otlp = { url: "http://127.0.0.1:1", headers: { authorization: { env: "SLUICE_TEST_UNSET" } }, timeout: 1000 }
  expect(() => output.prepare({ kind: "otlp", otlp, serviceName: "sluice" })).toThrow(
    "the environment variable SLUICE_TEST_UNSET, for the header authorization, isn't set",
  )
})

test("a notice is given at once, then once a minute with what was lost meanwhile", () => {
  let now = 0
  const { state, means } = losses(() => now)
  const notice = new FailureNotice("lost", means)
  notice.failed(1, { reason: "x" })
  now = 59_999
  notice.failed(2, { reason: "y" })
  now = 60_000
  notice.failed(3, { reason: "z" })
  expect([state.lost, state.said]).toEqual([
    6,
    [
      ["error", "lost", { reason: "x", lost: 1 }],
      ["error", "lost", { reason: "z", lost: 5 }],
    ],
  ])
})
