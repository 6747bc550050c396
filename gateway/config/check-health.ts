// What contradicts itself in how a service's endpoints are probed and ejected.

import type { Reporter } from "./check-tls.ts"
import { isKnown } from "./issues.ts"
import type { Path } from "./problem.ts"
import type { WrittenService } from "./schema.ts"

export function checkServiceHealth({ healthCheck, outlierDetection }: WrittenService, path: Path, report: Reporter): void {
  if (isKnown(healthCheck)) {
    const { interval, unhealthyInterval, timeout } = healthCheck
    if (timeout > interval) {
      report.error(
        [...path, "healthCheck", "timeout"],
        "is longer than interval, so probes would overtake each other; write a shorter one, or a longer interval",
      )
    } else if (timeout > unhealthyInterval) {
      report.error(
        [...path, "healthCheck", "unhealthyInterval"],
        "is shorter than timeout, so probes would overtake each other; write a longer one, or a shorter timeout",
      )
    }
  }
  if (!isKnown(outlierDetection)) return
  const { baseEjectionTime, maxEjectionTime } = outlierDetection
  if (baseEjectionTime > maxEjectionTime) {
    report.error(
      [...path, "outlierDetection", "baseEjectionTime"],
      "is longer than maxEjectionTime, which is the longest an ejection lasts; write a shorter one, or a longer maxEjectionTime",
    )
  }
}
