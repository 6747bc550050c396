import { describe, expect, test } from "vitest"
import { HELD, LeasedBucket, leaseCap, REFUSED, UNKNOWN } from "../../../gateway/resilience/leased-bucket.ts"

/** A bucket of 1000 requests/s of which 50 may be on lease, after `busy` requests in the last 100 ms, all of them answered at `now`. */
function used(busy: number, now: number, cap = 50): LeasedBucket {
  const bucket = new LeasedBucket(1, cap)
  for (let i = 0; i < busy; i++) {
    bucket.answered(now, 1, 1, 900, 0, 100)
    bucket.take(now)
  }
  return bucket
}

test("nothing is known of a key before the store was asked", () => {
  expect(new LeasedBucket(1, 50).standing(5)).toBe(UNKNOWN)
})

test("the lease of a key is what it used in 100 ms, at most its cap", () => {
  expect([0, 3, 4, 40, 200].map((busy) => used(busy, 1000).wanted(1000, 1))).toEqual([1, 1, 5, 41, 51])
  expect(used(200, 1000, 0).wanted(1000, 7)).toBe(7)
})

test("a lease is asked for again when half of it is gone", () => {
  const bucket = used(40, 1000)
  bucket.answered(1000, 40, 40, 860, 0, 100)
  const wanted = []
  for (let i = 0; i < 21; i++) {
    expect(bucket.standing(1001)).toBe(HELD)
    bucket.take(1001)
    wanted.push(bucket.wanted(1001, 0))
  }
  // The lease grows with what is taken meanwhile.
  expect(wanted.findIndex((count) => count > 0)).toBe(14)
  expect(wanted[14]).toBe(50 - 25)
})

test("a key that isn't busy any more asks for no lease, and gives back what it has after 250 ms", () => {
  const bucket = used(40, 1000)
  bucket.answered(1000, 40, 40, 860, 0, 100)
  expect(bucket.wanted(1200, 0)).toBe(0)
  expect(bucket.overdue(1249)).toBe(0)
  expect(bucket.idle(1249)).toBe(false)
  expect(bucket.overdue(1250)).toBe(40)
  expect(bucket.held).toBe(0)
  expect(bucket.idle(1250)).toBe(true)
})

test("what was refused is refused without asking until the next could pass", () => {
  const bucket = new LeasedBucket(600, 0)
  bucket.answered(0, 1, 0, 0, 600, 60_000)
  expect([0, 599, 600].map((now) => bucket.standing(now))).toEqual([REFUSED, REFUSED, UNKNOWN])
  expect(bucket.retryAfter(100)).toBe(500)
  expect(bucket.reset(100)).toBe(59_900)
})

test("a refusal of a fast limit stands for 10 ms, so that a flood asks no more often", () => {
  const bucket = used(40, 1000)
  bucket.answered(1000, 1, 0, 0, 1, 100)
  expect([1009, 1010].map((now) => bucket.standing(now))).toEqual([REFUSED, UNKNOWN])
})

test("what is held passes although more was refused", () => {
  const bucket = new LeasedBucket(1, 50)
  bucket.answered(0, 10, 4, 0, 1, 100)
  for (let i = 0; i < 4; i++) {
    expect(bucket.standing(0)).toBe(HELD)
    bucket.take(0)
  }
  expect(bucket.standing(0)).toBe(REFUSED)
})

describe("what may be on lease to one worker", () => {
  test.each([
    [2000, 0.1, 4, 50],
    [100, 0.1, 4, 2],
    [100, 0.1, 8, 0],
    [10, 0.1, 1, 0],
    [1000, 0, 1, 0],
  ])("of a burst of %i, a share of %f over %i workers: %i", (burst, share, holders, cap) => {
    expect(leaseCap(burst, share, holders)).toBe(cap)
  })
})
