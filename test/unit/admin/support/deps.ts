// What an admin API under test is told by a gateway that has little to tell, and does nothing it is ordered to.

import type { AdminDeps } from "../../../../gateway/admin/app.ts"
import { packConfig } from "../../../../gateway/config/packed-config.ts"
import { figuresOf } from "../../../../gateway/telemetry/live-summary.ts"
import { config } from "./config.ts"

const kept = {
  entry: { generation: 3, at: "2026-01-02T03:04:05.000Z", who: "the file", why: "start" },
  packed: packConfig(config, { zone: "" }),
}

const never = (): Promise<never> => Promise.reject(new Error("not asked for"))

export function adminDeps(overrides: Partial<AdminDeps> = {}): AdminDeps {
  const deps: AdminDeps = {
    history: { record: () => {} },
    changes: () => [],
    live: () => true,
    ready: () => ({
      ready: true,
      draining: false,
      reasons: [],
      generation: 3,
      lastReload: { ok: true, error: null, at: "2026-01-02T03:04:05.000Z" },
      workers: { running: 2, wanted: 2 },
      filtersInTrouble: [],
    }),
    exposition: () => Promise.resolve({ contentType: "text/plain; version=0.0.4; charset=utf-8", body: "up 1\n" }),
    generation: () => 3,
    configs: () => [],
    configAt: () => kept,
    departure: () => null,
    rollback: never,
    filters: () => [],
    figures: (question) => figuresOf([], question, () => false),
    services: () => [],
    push: never,
    unpush: never,
    release: never,
    connections: () => Promise.resolve({ total: 0, connections: [], missing: [] }),
    certificates: () => [],
    logLevel: () => ({ level: "info", configured: "info" }),
    recentLog: () => [],
    setLogLevel: () => {},
    profile: never,
    canaries: () => [],
    tap: () => null,
    tapNames: () => null,
    routes: () => Promise.resolve(null),
    explain: () => Promise.resolve("nothing is in force"),
    steer: never,
    drain: never,
    undrain: never,
    weights: () => ({ status: 404, message: "there is no such route" }),
    setWeights: never,
    restore: never,
    quarantine: never,
    hasFilter: () => false,
    filterLog: () => [],
    followFilter: () => null,
    profileFilter: never,
  }
  return Object.assign(deps, overrides)
}
