import { describe, expect, test } from "vitest"
import { readyState } from "../../../gateway/admin/ready-state.ts"

const sources = {
  stopping: false,
  generation: 2,
  lastReload: { ok: true, error: null, at: "2026-01-02T03:04:05.000Z" },
  workers: { running: 2, wanted: 2 },
  filters: [],
  reasons: [],
}

describe("readiness", () => {
  test("is there while a worker serves, whatever else is to be said", () => {
    const lastReload = { ok: false, error: "sluice.yaml:3:5 unknown key", at: "2026-01-02T03:04:05.000Z" }
    expect(readyState({ ...sources, lastReload, reasons: ["the canary v2 of route r is rolled back"] })).toEqual({
      ready: true,
      draining: false,
      reasons: ["the canary v2 of route r is rolled back", "the last configuration was refused; the one before serves"],
      generation: 2,
      lastReload,
      workers: { running: 2, wanted: 2 },
      filtersInTrouble: [],
    })
  })

  test("ends with the last worker, and when the gateway shuts down", () => {
    expect(readyState({ ...sources, workers: { running: 0, wanted: 2 } })).toMatchObject({ ready: false, reasons: ["no worker serves"] })
    expect(readyState({ ...sources, stopping: true })).toMatchObject({ ready: false, draining: true, reasons: ["shutting down"] })
  })
})
