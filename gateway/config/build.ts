// A checked document → the configuration every other part works with: defaults of routes filled in, paths resolved.

import { resolve } from "node:path"
import { buildAccessLog } from "./access-log-schema.ts"
import { buildAdmin } from "./admin-schema.ts"
import { listenerName, routeName, versionName } from "./check.ts"
import { endpointSource, namedBySource } from "./discovery-build.ts"
import type {
  BackendConfig,
  Config,
  FilterConfig,
  HeaderEdits,
  HttpListenerConfig,
  ListenerConfig,
  ListenerTlsConfig,
  MatchConfig,
  RetryConfig,
  RouteConfig,
  ServiceConfig,
  ServiceTlsConfig,
  TcpListenerConfig,
} from "./model.ts"
import { buildRateLimits } from "./rate-limit-schema.ts"
import { buildRateLimitStore } from "./rate-limit-store-schema.ts"
import type { Written, WrittenFilter, WrittenListener, WrittenRoute, WrittenService } from "./schema.ts"
import { buildConnectionTracing, buildRouteTracing, buildTracing } from "./tracing-schema.ts"
import { isUrl } from "./units.ts"

const NO_EDITS: HeaderEdits = { remove: [], set: [], add: [] }
const EVERY_REQUEST: MatchConfig = { path: { kind: "prefix", value: "/" }, methods: [], headers: [], query: [] }

const HTTP_PROTOCOLS: ListenerTlsConfig["alpn"] = ["h2", "http/1.1"]

/** Retries of a route that says nothing of them. They cost nothing while all goes well: no body is kept for them. */
const DEFAULT_RETRY: RetryConfig = {
  attempts: 2,
  on: ["connectFailure", "refused", "unavailable"],
  backoff: { base: 25, max: 250 },
  keepsBodies: false,
}

const PATH_POLICIES: HttpListenerConfig["path"] = {
  encodedSlash: "keep",
  encodedBackslash: "keep",
  backslash: "keep",
  nul: "reject",
  mergeSlashes: true,
}

/** `baseDir`: modules are relative to it. */
export function build(written: Written, baseDir: string): Config {
  const services: Record<string, ServiceConfig> = {}
  for (const [name, { discovery, rateLimit, ...service }] of Object.entries(written.services)) {
    const tls = serviceTls(service.tls, baseDir)
    const source = discovery === undefined ? null : endpointSource(discovery, written.dns?.resolvers ?? [], baseDir)
    services[name] = {
      ...service,
      ...buildRateLimits(rateLimit, "service", name),
      endpoints: service.endpoints ?? [],
      ...(source === null ? {} : { discovery: source }),
      proxyProtocol: service.proxyProtocol ?? "",
      tls: tls === null || source === null ? tls : namedBySource(tls, source),
      circuitBreaker: { ...service.circuitBreaker, queueTimeout: service.circuitBreaker.queueTimeout ?? service.connectTimeout },
    }
  }
  const filters: Record<string, FilterConfig> = {}
  for (const [name, filter] of Object.entries(written.filters)) filters[name] = filterConfig(filter, baseDir)
  return {
    admin: buildAdmin(written.admin, baseDir),
    workers: written.workers,
    log: written.log,
    metrics: written.metrics,
    accessLog: buildAccessLog(written.accessLog, baseDir),
    ...(written.tracing === undefined ? {} : { tracing: buildTracing(written.tracing) }),
    drain: written.drain,
    zone: written.zone ?? "",
    overload: written.overload,
    ...(written.rateLimitStore === undefined
      ? {}
      : { rateLimitStore: buildRateLimitStore(written.rateLimitStore, (tls) => serviceTls(tls, baseDir)) }),
    ...(written.rateLimitService === undefined ? {} : { rateLimitService: written.rateLimitService }),
    listeners: written.listeners.map((each, i) => listener(each, i, baseDir, written.tracing)),
    services,
    filters,
    routes: written.routes.map((each, i) => route(each, i, written.tracing)),
  }
}

function listener(written: WrittenListener, i: number, baseDir: string, tracing: Written["tracing"]): ListenerConfig {
  const { address, limits, timeouts } = written
  const name = listenerName(written.name, i)
  const { protocol } = written
  const proxyProtocol = written.proxyProtocol ?? null
  if (protocol === "auto") {
    const { tls: _, ...plain } = written
    const http = listener({ ...plain, protocol: "http", name }, i, baseDir, tracing) as HttpListenerConfig
    const idle = { ...timeouts, idle: timeouts.tunnelIdle }
    const tcp = listener({ ...plain, protocol: "tls", name, timeouts: idle }, i, baseDir, tracing) as TcpListenerConfig
    return {
      name,
      address,
      protocol,
      tls: listenerTls(written.tls, true, baseDir),
      proxyProtocol,
      limits: { connections: limits.connections },
      timeouts: { detect: tcp.timeouts.detect },
      http,
      tcp,
    }
  }
  const tls = protocol === "https" || protocol === "tls" ? listenerTls(written.tls, protocol === "https", baseDir) : null
  if (protocol === "tcp" || protocol === "tls") {
    return {
      name,
      address,
      protocol,
      tls,
      proxyProtocol,
      serverNames: written.serverNames ?? [],
      backends: written.backends ?? [],
      filters: written.filters ?? [],
      ...(tracing === undefined ? {} : { tracing: buildConnectionTracing(tracing, written.tracing) }),
      limits: { connections: limits.connections },
      timeouts: { idle: timeouts.idle ?? 3_600_000, detect: timeouts.detect ?? 10_000 },
    }
  }
  return {
    name,
    address,
    protocol,
    tls,
    proxyProtocol,
    limits: {
      requestLine: limits.requestLine ?? 8192,
      head: limits.head ?? 32_768,
      fields: limits.fields ?? 100,
      body: limits.body ?? 0,
      streams: limits.streams ?? 100,
      connections: limits.connections,
    },
    timeouts: {
      head: timeouts.head ?? 10_000,
      idle: timeouts.idle ?? 60_000,
      halfClose: timeouts.halfClose ?? 1000,
      tunnelIdle: timeouts.tunnelIdle ?? 3_600_000,
    },
    ...buildRateLimits(written.rateLimit, "listener", name),
    trustedHops: written.trustedHops ?? 0,
    path: written.path ?? PATH_POLICIES,
  }
}

function listenerTls(written: WrittenListener["tls"], http: boolean, baseDir: string): ListenerTlsConfig | null {
  if (written === undefined) return null
  const { clientCa, clientCertificate = "require", forwardClientCert = false, alpn = HTTP_PROTOCOLS, certificates, ...rest } = written
  return {
    ...rest,
    certificates: certificates.map(({ cert, key }) => ({ cert: resolve(baseDir, cert), key: resolve(baseDir, key) })),
    alpn: http ? [...new Set(alpn)] : [],
    clientCa: clientCa === undefined ? "" : resolve(baseDir, clientCa),
    clientCertificate,
    forwardClientCert,
  }
}

function serviceTls(written: WrittenService["tls"], baseDir: string): ServiceTlsConfig | null {
  if (written === undefined) return null
  const given: Exclude<typeof written, true> | Record<string, never> = written === true ? {} : written
  const { ca, cert, key, serverName = "", identity = "", insecureSkipVerify = false, minVersion = "1.2" } = given
  const path = (text: string | undefined): string => (text === undefined ? "" : resolve(baseDir, text))
  return { ca: path(ca), cert: path(cert), key: path(key), serverName, identity, insecureSkipVerify, minVersion }
}

function filterConfig(written: WrittenFilter, baseDir: string): FilterConfig {
  const { module, sha256, versions, rollback, vm = "", ...rest } = written
  const each = versions ?? [{ module: module as string, sha256, weight: 1 }]
  return {
    ...rest,
    versions: each.map((version, i) => ({
      name: versionName("name" in version ? version.name : undefined, i),
      module: isUrl(version.module) ? version.module : resolve(baseDir, version.module),
      sha256: version.sha256 ?? "",
      weight: version.weight,
      config: "config" in version ? version.config : undefined,
    })),
    rollback: rollback === false ? null : rollback,
    config: written.config,
    vm,
    vmConfig: written.vmConfig,
  }
}

function route(written: WrittenRoute, i: number, tracing: Written["tracing"]): RouteConfig {
  const name = routeName(written.name, i)
  return {
    name,
    listeners: written.listeners ?? [],
    hosts: written.hosts ?? [],
    matches: written.match ?? [EVERY_REQUEST],
    filters: written.filters?.map(({ use, with: settings }) => ({ use, with: settings })) ?? [],
    action: action(written),
    ...canary(written),
    timeout: {
      request: written.timeout?.request ?? 15_000,
      perTry: written.timeout?.perTry ?? 0,
      idle: written.timeout?.idle ?? 300_000,
      propagate: written.timeout?.propagate ?? false,
      grpc: written.timeout?.request ?? 0,
    },
    priority: written.priority,
    grpcWeb: written.grpcWeb,
    headers: edits(written.headers),
    retry: retry(written.retry),
    hedge: written.hedge ?? null,
    ...(written.fault === undefined ? {} : { fault: written.fault }),
    ...(written.sticky === undefined ? {} : { sticky: written.sticky }),
    ...(written.mirror === undefined ? {} : { mirrors: written.mirror }),
    ...buildRateLimits(written.rateLimit, "route", name),
    ...(tracing === undefined ? {} : { tracing: buildRouteTracing(tracing, written.tracing) }),
  }
}

function retry(written: WrittenRoute["retry"]): RetryConfig | null {
  if (written === undefined) return DEFAULT_RETRY
  return written === false ? null : { ...written, keepsBodies: true }
}

function canary({ canary, backends = [] }: WrittenRoute): Pick<RouteConfig, "canary"> {
  if (canary === undefined) return {}
  const { service = backends[backends.length - 1].service, steps, interval, abortOn } = canary
  return { canary: { service, steps, interval, abortOn: { ...abortOn, p99: abortOn.p99 ?? 0 } } }
}

function action(written: WrittenRoute): RouteConfig["action"] {
  const { redirect, respond } = written
  if (redirect !== undefined) return { kind: "redirect", redirect }
  if (respond !== undefined) return { kind: "respond", status: respond.status, body: respond.body, headers: respond.headers ?? [] }
  const backends = (written.backends ?? []).map((backend): BackendConfig => {
    const headers = "headers" in backend ? backend.headers : undefined
    const rewrite = "rewrite" in backend ? backend.rewrite : undefined
    const subset = "subset" in backend ? backend.subset : undefined
    return {
      service: backend.service,
      ...(subset === undefined ? {} : { subset }),
      weight: backend.weight,
      headers: edits(headers),
      ...(rewrite === undefined ? {} : { rewrite }),
    }
  })
  return { kind: "forward", backends, ...(written.rewrite === undefined ? {} : { rewrite: written.rewrite }) }
}

function edits(headers: WrittenRoute["headers"]): RouteConfig["headers"] {
  return { request: headers?.request ?? NO_EDITS, response: headers?.response ?? NO_EDITS }
}
