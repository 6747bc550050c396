import { expect, test } from "vitest"
import { type Change, ChangeHistory } from "../../../gateway/admin/change-history.ts"

test("keeps the newest entries, newest first, with when and in which generation", () => {
  let now = 0
  let generation = 1
  const heard: Change[] = []
  const history = new ChangeHistory({ now: () => now, generation: () => generation, limit: 3, onRecorded: (change) => heard.push(change) })
  expect(history.entries).toEqual([])
  for (let i = 1; i <= 5; i++) {
    now = i * 1000
    generation = i * 10
    history.record({ who: `w${i}`, kind: "k", what: "x", refused: i === 4 ? "no" : null })
    expect(history.entries.map(({ who }) => who)).toEqual(["w1", "w2", "w3", "w4", "w5"].slice(Math.max(0, i - 3), i).reverse())
  }
  expect(history.entries[1]).toEqual({ at: "1970-01-01T00:00:04.000Z", who: "w4", kind: "k", what: "x", generation: 40, refused: "no" })
  expect(heard.map(({ who }) => who)).toEqual(["w1", "w2", "w3", "w4", "w5"])
})

test("keeps no more of a text than it should", () => {
  const history = new ChangeHistory({ now: () => 0, generation: () => 1 })
  history.record({ who: "a".repeat(1000), kind: "b".repeat(1000), what: "c".repeat(1000), refused: "d".repeat(1000) })
  const [{ who, kind, what, refused }] = history.entries
  expect([who, kind, what, refused].map((text) => text?.length)).toEqual([500, 500, 500, 500])
})
