import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { parseConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { Discovery } from "../../../gateway/discovery/discovery.ts"

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A service whose endpoint every system knows. */
function configured(): Config {
  const result = parseConfig(
    "listeners: [{ address: 127.0.0.1:1 }]\nservices: { a: { discovery: { dns: localhost:80 } } }\nroutes: [{ backends: a }]\n",
    {
      file: "sluice.yaml",
      baseDir: "/",
    },
  )
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.config
}

test("endpoints that can't be handed out are tried again with growing pauses, and that is said once", async () => {
  const config = configured()
  const log: string[] = []
  let calls = 0
  let refusal: string | null = "worker 0 did not take endpoints in time"
  const discovery: Discovery = new Discovery({
    watch: false,
    async onChange() {
      calls++
      if (refusal === null) discovery.use(discovery.resolved(config))
      return refusal
    },
    onLooked: () => {},
    log: (level, message) => log.push(`${level}: ${message}`),
  })
  try {
    await discovery.prepare(config)
    discovery.use(config)
    await vi.advanceTimersByTimeAsync(1000)
    expect(calls).toBe(3)
    await vi.advanceTimersByTimeAsync(59_000)
    expect(calls).toBeGreaterThan(10)
    expect(calls).toBeLessThan(20)
    expect(log).toEqual(["error: endpoints that were found can't be used yet; that is tried again"])
    refusal = null
    await vi.advanceTimersByTimeAsync(5000)
    const settled = calls
    await vi.advanceTimersByTimeAsync(60_000)
    expect(calls).toBe(settled)
    expect(log.slice(1)).toEqual(["info: endpoints changed", "info: endpoints that were found are used again"])
  } finally {
    discovery.close()
  }
})
