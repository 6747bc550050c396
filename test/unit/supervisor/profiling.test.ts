import { mkdir, readdir, readlink, writeFile } from "node:fs/promises"
import { afterEach, expect, test, vi } from "vitest"
import type { ProfileOutcome } from "../../../gateway/admin/profiles.ts"
import { Profiling } from "../../../gateway/supervisor/profiling.ts"
import type { Question } from "../../../gateway/worker-questions.ts"

afterEach(() => vi.unstubAllEnvs())

const never = new AbortController().signal

/** Of a worker whose profile is what `make` makes at the path of the file. */
function profiling(make: (file: string) => Promise<unknown>, names: string[] = []): Profiling {
  const ask = async (_: number, question: Question): Promise<{ readonly what: "profile" }> => {
    if (question.what !== "profile") throw new Error("asked for something else")
    names.push(question.file)
    await make(question.file)
    return { what: "profile" }
  }
  return new Profiling({ workers: 1, ask })
}

function bodyOf(outcome: ProfileOutcome): ReadableStream<Uint8Array> {
  if (outcome.kind !== "made") throw new Error(outcome.why)
  return outcome.body
}

/** Whether this process has a file open that is, or was, there. */
async function isOpen(file: string): Promise<boolean> {
  const links = await Promise.all((await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")))
  return links.some((link) => link.startsWith(file))
}

test("a profile for whose file there is no room doesn't keep others from being taken", async () => {
  const profiling = new Profiling({ workers: 1, ask: () => Promise.resolve({ what: "failed", why: "asked" }) })
  vi.stubEnv("TMPDIR", "/nonexistent/place")
  expect(await profiling.take("cpu", 0, 1, never)).toMatchObject({
    kind: "none",
    status: 503,
    why: expect.stringContaining("/nonexistent/place"),
  })
  vi.unstubAllEnvs()
  expect(await profiling.take("cpu", 0, 1, never)).toEqual({ kind: "none", status: 503, why: "asked" })
})

test("a profile's file is open until it is read, and not after that", async () => {
  const names: string[] = []
  const body = bodyOf(await profiling((file) => writeFile(file, "x".repeat(600_000)), names).take("cpu", 0, 1, never))
  expect(await isOpen(names[0])).toBe(true)
  expect((await new Response(body).text()).length).toBe(600_000)
  expect(await isOpen(names[0])).toBe(false)
})

test("a profile's file that can't be read, whose reader goes, or never begins, is not left open", async () => {
  const names: string[] = []
  // A folder can be opened, but not read.
  const failing = bodyOf(await profiling((file) => mkdir(file), names).take("cpu", 0, 1, never))
  await expect(new Response(failing).text()).rejects.toThrow()
  expect(await isOpen(names[0])).toBe(false)

  const small = profiling((file) => writeFile(file, "small"), names)
  await bodyOf(await small.take("cpu", 0, 1, never)).cancel()
  expect(await isOpen(names[1])).toBe(false)

  const leaving = new AbortController()
  bodyOf(await small.take("cpu", 0, 1, leaving.signal))
  leaving.abort()
  await vi.waitFor(async () => expect(await isOpen(names[2])).toBe(false))
  expect(await small.take("cpu", 0, 1, leaving.signal)).toMatchObject({ kind: "none" })
  expect(await isOpen(names[3])).toBe(false)
})
