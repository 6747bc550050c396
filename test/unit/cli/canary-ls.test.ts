import { expect, test } from "vitest"
import type { CanaryStatus } from "../../../gateway/canary/canary-changes.ts"
import { canaryTable } from "../../../gateway/cli/canary-ls.ts"

const figures = { exchanges: 0, errors: 0, errorRate: 0, p99: 0 }
const canary: CanaryStatus = {
  route: "everyone",
  service: "api-v2",
  state: "progressing",
  step: 2,
  steps: [0.01, 0.1, 1],
  share: 0.1,
  since: "2026-01-02T03:04:05.678Z",
  config: { service: "api-v2", steps: [0.01, 0.1, 1], interval: 60_000, abortOn: { errorRate: 0.05, p99: 0, minimum: 50 } },
  figures: { canary: { exchanges: 31, errors: 1, errorRate: 1 / 31, p99: 4.25 }, stable: { ...figures, exchanges: 300, p99: 81.2 } },
  waiting: "it has had 31 of 50 requests",
  reason: "",
  refusals: { pause: "", resume: "", promote: "", abort: "", restart: "" },
}

test("canaries are a line each, and what is to be said of them", () => {
  const rolledBack = {
    ...canary,
    route: "b\u001b[2J",
    state: "rolledBack",
    step: 0,
    share: 0,
    waiting: "",
    reason: "it was ordered",
  } as const
  expect(canaryTable([canary, rolledBack])).toBe(
    [
      "ROUTE     SERVICE  STATE        STEP  SHARE  SINCE                 REQUESTS  ERRORS  P99    OTHERS  ERRORS  P99",
      "everyone  api-v2   progressing  2/3   10%    2026-01-02T03:04:05Z  31        3.23%   4.3ms  300     0%      81ms",
      "b\ufffd[2J     api-v2   rolled back  0/3   0%     2026-01-02T03:04:05Z  31        3.23%   4.3ms  300     0%      81ms",
      "",
      "everyone: waits: it has had 31 of 50 requests",
      "b\ufffd[2J: rolled back until it changes or is restarted (sluice canary restart b\ufffd[2J): it was ordered",
      "",
    ].join("\n"),
  )
  expect(canaryTable([])).toBe("no canaries\n")
})
