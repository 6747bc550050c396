// What the exchanges of one listener share: its routes and settings out of one snapshot, and the worker's means.

import type { HttpListenerConfig } from "../config/model.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import type { OverloadGuard } from "../listener/overload-guard.ts"
import type { Router } from "../router/router.ts"
import type { AccessLog } from "../telemetry/access-log.ts"
import type { IdentityCounts } from "../telemetry/identity-counts.ts"
import type { ListenerSlots, RouteSlots, ServiceSlots } from "../telemetry/instruments.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"
import type { Watch } from "../telemetry/watch.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import type { Service } from "../upstream/services.ts"
import type { ForwardedFields } from "./forwarded.ts"
import type { LocalReplies } from "./local-reply.ts"
import type { MirrorSender } from "./mirror-sender.ts"
import type { Route } from "./route.ts"

/** The worker's part: the same for all snapshots. */
export interface WorkerMeans {
  readonly wheel: TimerWheel
  readonly metrics: MetricsWriter
  readonly identities: IdentityCounts
  readonly accessLog: AccessLog
  readonly replies: LocalReplies
  /** [0, 1). */
  readonly random: () => number
  /** Zero of the wheel's clock, in milliseconds since the epoch. */
  readonly epoch: number
  readonly forwarded: ForwardedFields
  readonly mirrors: MirrorSender
  readonly overload: Pick<OverloadGuard, "sheds">
  readonly watch: Pick<Watch, "active" | "begin" | "end" | "beginConnection" | "endConnection">
}

/** Counts the exchanges that use a snapshot, so that it can be freed when the last one ends. */
export interface SnapshotPin {
  pin(): void
  unpin(): void
}

/** One listener in one snapshot. */
export interface Plane {
  readonly means: WorkerMeans
  readonly snapshot: SnapshotPin
  readonly name: string
  readonly port: number
  readonly config: HttpListenerConfig
  /** Certificates of an https listener; null for http. */
  readonly tls: ServerMaterial | null
  readonly router: Router<Route>
  /** There is a tracer; absent = there is none. */
  readonly traced?: boolean
  readonly listenerSlots: ListenerSlots
  /** Metrics of exchanges that no route matched. */
  readonly noRouteSlots: RouteSlots
  serviceSlots(service: string): ServiceSlots | undefined
  service(name: string): Service | undefined
}
