// The harness with a filter written with the SDK: the one of the quickstart.

import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { FilterLoadError, loadFilter, type TestFilter } from "../../../gateway/testing/testing.ts"

const source = fileURLToPath(new URL("../../../examples/quickstart/filters/api-key", import.meta.url))
const config = { keys: { "k-1": "alice", "k-2": "bob" }, requests: 2, per: "10s" }

describe("the quickstart's api-key filter", () => {
  let filter: TestFilter
  beforeAll(async () => {
    filter = await loadFilter(source, { config })
  }, 60_000)
  afterAll(() => filter.close())

  test("tells the service who calls, and not the key", async () => {
    const exchange = await filter.request({ headers: { "x-api-key": "k-1" } })
    expect([exchange.upstream?.headers.get("x-client"), exchange.upstream?.headers.has("x-api-key")]).toEqual(["alice", false])
    expect(exchange.response?.headers.get("x-filtered-by")).toBe("api-key")
  })

  test("answers requests without a key, or with a wrong one", async () => {
    const missing = await filter.request()
    expect([missing.upstream, missing.reply, missing.response?.status, missing.response?.body.text]).toEqual([
      null,
      true,
      401,
      "send your API key in x-api-key\n",
    ])
    expect((await filter.request({ headers: { "x-api-key": "k-3" } })).response?.status).toBe(403)
  })

  test("lets each client make so many requests, and more as time passes", async () => {
    const statuses = async (key: string): Promise<number | undefined> =>
      (await filter.request({ headers: { "x-api-key": key } })).response?.status
    expect([await statuses("k-2"), await statuses("k-2"), await statuses("k-2")]).toEqual([200, 200, 429])
    await filter.advance(10_000)
    expect(await statuses("k-2")).toBe(200)
  })

  test("refuses a configuration without keys, and says why", async () => {
    await expect(loadFilter(source, { config: { keys: {} } })).rejects.toThrow(FilterLoadError)
    await expect(loadFilter(source, { config: { keys: {} } })).rejects.toThrow('"keys" must name at least one API key')
  }, 60_000)
})
