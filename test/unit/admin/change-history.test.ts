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
  const at = "1970-01-01T00:00:04.000Z"
  expect(history.entries[1]).toEqual({ at, who: "w4", kind: "k", what: "x", generation: 40, refused: "no", times: 1 })
  expect(heard.map(({ who }) => who)).toEqual(["w1", "w2", "w3", "w4", "w5"])
})

test("keeps no more of a text than it should", () => {
  const history = new ChangeHistory({ now: () => 0, generation: () => 1 })
  history.record({ who: "a".repeat(1000), kind: "b".repeat(1000), what: "c".repeat(1000), refused: "d".repeat(1000) })
  const [{ who, kind, what, refused }] = history.entries
  expect([who, kind, what, refused].map((text) => text?.length)).toEqual([500, 500, 500, 500])
})

test("a flood of orders that are turned away neither pushes out those that were given nor fills the log", () => {
  let now = 0
  const heard: [string, number][] = []
  const onRecorded = ({ who }: Change, unsaid: number): void => void heard.push([who, unsaid])
  const history = new ChangeHistory({ now: () => now, generation: () => 1, onRecorded })
  history.record({ who: "ann", kind: "config rollback", what: "to generation 3" })
  for (let i = 0; i < 5000; i++)
    history.record({ who: `w${i}`, kind: "order", what: "POST /config/rollback", refused: "401 no", turnedAway: true })
  history.record({ who: "bob", kind: "weights", what: "a" })
  const { entries } = history
  expect(entries.length).toBe(102)
  expect([entries[0].who, entries[1].who, entries[100].who, entries[101].who]).toEqual(["bob", "w4999", "w4900", "ann"])
  expect(heard).toEqual([["ann", 0], ...Array.from({ length: 10 }, (_, i) => [`w${i}`, 0]), ["bob", 0]])

  // The same over and over is one entry, of which the log hears again after a while.
  heard.length = 0
  for (let i = 0; i < 5000; i++) {
    now = i * 20
    history.record({ who: "eve", kind: "order", what: "POST /config/rollback", refused: "401 no", turnedAway: true })
  }
  expect(history.entries[0]).toMatchObject({ who: "eve", times: 5000, at: new Date(now).toISOString() })
  expect(history.entries.filter(({ who }) => who === "eve").length).toBe(1)
  expect(heard.length).toBe(10)
  expect(heard[0]).toEqual(["eve", 4990 + 3000])
})
