import { expect, test } from "vitest"
import { ConfigHistory } from "../../../gateway/config/config-history.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { packConfig, unpack } from "../../../gateway/config/packed-config.ts"

const config = (zone: string) => packConfig({ zone } as unknown as Config, { zone, as: "written" })
const zoneAt = (history: ConfigHistory, at: number): string | undefined => {
  const found = history.at(at)
  return found === null ? undefined : (unpack(found.packed.config) as Config).zone
}

test("a generation's configuration is the last that came before it, or with it", () => {
  const history = new ConfigHistory(() => 0)
  expect(history.at(1)).toBeNull()
  history.add(config("a"), 1, "the file", "start")
  history.add(config("b"), 4, "SIGHUP", "x")
  expect([1, 2, 3, 4, 9].map((at) => zoneAt(history, at))).toEqual(["a", "a", "a", "b", "b"])
  expect(history.at(0)).toBeNull()
  expect(history.entries).toEqual([
    { generation: 4, at: "1970-01-01T00:00:00.000Z", who: "SIGHUP", why: "x" },
    { generation: 1, at: "1970-01-01T00:00:00.000Z", who: "the file", why: "start" },
  ])
})

test("keeps the newest 50", () => {
  const history = new ConfigHistory(() => 0)
  for (let i = 1; i <= 60; i++) history.add(config(`z${i}`), i, "w", "y")
  expect(history.entries.map(({ generation }) => generation)).toEqual(Array.from({ length: 50 }, (_, i) => 60 - i))
  expect(history.at(10)).toBeNull()
  expect(zoneAt(history, 11)).toBe("z11")
})
