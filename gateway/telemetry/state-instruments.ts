// What is asked for at each scrape because nobody counts it: how old the configuration is, what limits are set to, whom services must
// prove to be, how much of a thread's memory is used, which version this is.

import type { Config, ServiceConfig } from "../config/model.ts"
import { type CertificateExpiry, certificateExpiry, expiryText } from "./certificate-instruments.ts"
import type { MetricDescription, MetricsRegistry } from "./metrics-registry.ts"

/** What a filter's instances take in one worker. */
export interface FilterMemory {
  readonly name: string
  readonly version: string
  readonly memoryBytes: number
}

export interface StateSources {
  /** Configuration in force; null = none yet. */
  config(): Config | null
  /** Of every plugin in every worker. */
  filters(): readonly FilterMemory[]
  /** Of every certificate that is shown. */
  expiries(): readonly CertificateExpiry[]
  /** How much counts against a limit of a service, over all workers. */
  used(service: string, limit: BreakerLimit): number
  /** Name and version of the runtime; version of this package. */
  readonly runtime: string
  readonly version: string
}

const breakerLimits = ["requests", "connections", "pending", "retries"] as const
export type BreakerLimit = (typeof breakerLimits)[number]

type Breaker = ServiceConfig["circuitBreaker"]
const LIMITS: Readonly<Record<BreakerLimit, (breaker: Breaker) => number>> = {
  requests: (breaker) => breaker.maxRequests,
  connections: (breaker) => breaker.maxConnections,
  pending: (breaker) => breaker.maxPending,
  retries: (breaker) => breaker.maxRetries,
}

function gauge(name: string, labels: readonly string[], help: string): MetricDescription {
  return { name, type: "gauge", labels, help }
}

/** Exposes all of it. */
export function showState(registry: MetricsRegistry, { config, filters, expiries, used, runtime, version }: StateSources): void {
  const services = (): [string, ServiceConfig][] => Object.entries(config()?.services ?? {})
  const limits = (value: (service: string, limit: BreakerLimit, most: number) => number) => () =>
    services().flatMap(([service, { circuitBreaker }]) =>
      breakerLimits.map((limit) => ({ value: value(service, limit, LIMITS[limit](circuitBreaker)), labels: { service, limit } })),
    )
  registry.show({
    ...gauge("sluice_upstream_limit_max", ["service", "limit"], "What a limit of a service is set to"),
    samples: limits((_service, _limit, most) => most),
  })
  registry.show({
    ...gauge(
      "sluice_upstream_breaker_open",
      ["service", "limit"],
      "1 while a limit of a service is reached, so that more is refused or waits",
    ),
    samples: limits((service, limit, most) => (used(service, limit) >= most ? 1 : 0)),
  })
  registry.show({
    ...gauge("sluice_upstream_identity_info", ["service", "identity"], "1; who the endpoints of a service must prove to be"),
    samples: () =>
      services().flatMap(([service, { tls }]) =>
        tls === null || tls.identity === "" ? [] : [{ value: 1, labels: { service, identity: tls.identity } }],
      ),
  })
  registry.show({
    ...gauge("sluice_filter_memory_bytes", ["filter", "version"], "Linear memory of the instances of a filter, over all workers"),
    samples: () => {
      const sums = new Map<string, { value: number; readonly labels: { readonly filter: string; readonly version: string } }>()
      for (const { name, version: of, memoryBytes } of filters()) {
        const key = JSON.stringify([name, of])
        const known = sums.get(key)
        if (known === undefined) sums.set(key, { value: memoryBytes, labels: { filter: name, version: of } })
        else known.value += memoryBytes
      }
      return [...sums.values()]
    },
  })
  registry.include(() => expiryText(expiries()), [certificateExpiry])
  registry.show({
    ...gauge("sluice_build_info", ["version", "runtime"], "1; which Sluice this is and what runs it"),
    samples: () => [{ value: 1, labels: { version, runtime } }],
  })
}
