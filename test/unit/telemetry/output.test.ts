import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import type { WriteBytes } from "../../../gateway/telemetry/descriptor.ts"
import { Output } from "../../../gateway/telemetry/output.ts"

type Write = { text: string; done: Parameters<WriteBytes>[1] }

function scripted(capacity = 1000) {
  const writes: Write[] = []
  let dropped = 0
  const output = new Output({
    descriptor: 1,
    capacity,
    writeBytes: (bytes, done) => writes.push({ text: Buffer.from(bytes).toString(), done }),
    onDrop: (octets) => {
      dropped += octets
    },
  })
  return { output, writes, dropped: () => dropped }
}

describe("output", () => {
  test("writes in order, what came meanwhile in one go, and continues short writes", async () => {
    const { output, writes } = scripted()
    const done: string[] = []
    for (const piece of ["a", "b", "cé"]) output.write(piece, () => done.push(piece))
    expect(writes.map((w) => w.text)).toEqual(["a"])
    const flushed = output.flush(1000)
    writes[0].done(null, 1)
    expect(done).toEqual(["a"])
    expect(writes[1].text).toBe("bcé")
    writes[1].done(null, 2)
    expect(writes[2].text).toBe("é")
    expect(done).toEqual(["a"])
    writes[2].done(null, 2)
    expect(done).toEqual(["a", "b", "cé"])
    await flushed
  })

  test("a reader that doesn't read costs lines beyond the capacity, nothing else", async () => {
    const { output, writes, dropped } = scripted(10)
    let done = 0
    output.write("12345", () => done++)
    output.write("67890", () => done++)
    output.write("x", () => done++)
    expect(dropped()).toBe(1)
    expect(done).toBe(1)
    await output.flush(5)
    writes[0].done(null, 5)
    writes[1].done(null, 5)
    output.write("y")
    expect(writes[2].text).toBe("y")
  })

  test("a full non-blocking pipe is tried again", async () => {
    const { output, writes } = scripted()
    output.write("a")
    writes[0].done({ code: "EAGAIN" }, 0)
    await expect.poll(() => writes.length).toBe(2)
    expect(writes[1].text).toBe("a")
  })

  test("a reader that is gone ends the writing, tells every waiting piece, and takes no more", async () => {
    const { output, writes, dropped } = scripted()
    let done = 0
    output.write("a", () => done++)
    output.write("b", () => done++)
    writes[0].done({ code: "EPIPE" }, 0)
    expect(output.open).toBe(false)
    expect(done).toBe(2)
    output.write("c", () => done++)
    expect(done).toBe(3)
    expect(dropped()).toBe(3)
    expect(writes).toHaveLength(1)
    await output.flush(1000)
  })
})

describe("output of a process", () => {
  const deno = "Deno" in globalThis
  const file = fileURLToPath(new URL("./support/output-child.ts", import.meta.url))
  const command = deno ? [process.execPath, "run", "-A", file] : [process.execPath, file]

  function child(stdout: "pipe" | number, ...args: string[]) {
    return spawn(command[0], [...command.slice(1), ...args], { stdio: ["ignore", stdout, "pipe"] })
  }

  test("reaches a reader whole, but for what was dropped over the capacity", async () => {
    const writer = child("pipe")
    const [out, report] = await Promise.all([text(writer.stdout as Readable), text(writer.stderr as Readable)])
    const { done, drops, open } = JSON.parse(report)
    expect(done).toBe(1000)
    expect(open).toBe(true)
    expect(out).toBe(expected(1000 - drops))
  })

  test("reaches a reader whole through a pipe", async () => {
    const shell = spawn("sh", ["-c", '"$@" | cat', "sh", ...command], { stdio: ["ignore", "pipe", "pipe"] })
    const [out, report] = await Promise.all([text(shell.stdout), text(shell.stderr)])
    const { done, drops } = JSON.parse(report)
    expect(done).toBe(1000)
    expect(out).toBe(expected(1000 - drops))
  })

  test("survives that its reader goes away", async () => {
    const writer = child("pipe")
    writer.stdout?.destroy()
    const exit = once(writer, "exit")
    const report = JSON.parse(await text(writer.stderr as Readable))
    expect(report).toMatchObject({ done: 1000, open: false })
    expect((await exit)[0]).toBe(0)
  })

  test("a pipe nobody reads stops neither the thread nor its exit", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-output-"))
    const path = join(folder, "pipe")
    execFileSync("mkfifo", [path])
    // Open for reading too, so that it has a reader who never reads.
    const pipe = openSync(path, constants.O_RDWR)
    const writer = child(pipe, "exit")
    try {
      const exit = once(writer, "exit")
      const report = JSON.parse(await text(writer.stderr as Readable))
      expect(report.ticks).toBeGreaterThan(2)
      expect(report.open).toBe(true)
      expect((await exit)[0]).toBe(0)
    } finally {
      writer.kill("SIGKILL")
      closeSync(pipe)
      rmSync(folder, { recursive: true })
    }
  })
})

function expected(lines: number): string {
  return Array.from({ length: lines }, (_, i) => `${`${i}`.padEnd(1023, "x")}\n`).join("")
}
