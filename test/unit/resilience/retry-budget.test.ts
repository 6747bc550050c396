import { expect, test } from "vitest"
import { RetryBudget } from "../../../gateway/resilience/retry-budget.ts"

/** How many retries may be under way at once while `active` requests are. */
function room(budget: RetryBudget, active: number): number {
  let taken = 0
  while (taken < 1000 && budget.take(active)) taken++
  return taken
}

test.each([
  [0, 3],
  [15, 3],
  [20, 4],
  [21, 5],
  [1000, 200],
])("with %d requests under way %d may be retries", (active, expected) => {
  expect(room(new RetryBudget(), active)).toBe(expected)
})

test("what is over makes room for others", () => {
  const budget = new RetryBudget()
  expect(room(budget, 0)).toBe(3)
  budget.release()
  expect([budget.take(0), budget.take(0)]).toEqual([true, false])
})
