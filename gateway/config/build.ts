// A checked document → the configuration every other part works with: defaults of routes filled in, paths resolved.

import { resolve } from "node:path"
import { listenerName, routeName, versionName } from "./check.ts"
import type {
  BackendConfig,
  Config,
  FilterConfig,
  HeaderEdits,
  HttpListenerConfig,
  ListenerConfig,
  MatchConfig,
  RouteConfig,
  ServiceConfig,
  TcpListenerConfig,
} from "./model.ts"
import type { Written, WrittenFilter, WrittenListener, WrittenRoute } from "./schema.ts"
import { isUrl } from "./units.ts"

const NO_EDITS: HeaderEdits = { remove: [], set: [], add: [] }
const EVERY_REQUEST: MatchConfig = { path: { kind: "prefix", value: "/" }, methods: [], headers: [], query: [] }

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
  for (const [name, service] of Object.entries(written.services))
    services[name] = { ...service, proxyProtocol: service.proxyProtocol ?? "" }
  const filters: Record<string, FilterConfig> = {}
  for (const [name, filter] of Object.entries(written.filters)) filters[name] = filterConfig(filter, baseDir)
  return {
    admin: written.admin === false ? null : written.admin,
    workers: written.workers,
    log: written.log,
    accessLog: written.accessLog,
    drain: written.drain,
    listeners: written.listeners.map(listener),
    services,
    filters,
    routes: written.routes.map(route),
  }
}

function listener(written: WrittenListener, i: number): ListenerConfig {
  const { address, limits, timeouts } = written
  const name = listenerName(written.name, i)
  const proxyProtocol = written.proxyProtocol ?? null
  if (written.protocol === "auto") {
    const http = listener({ ...written, protocol: "http", name }, i) as HttpListenerConfig
    const tcp = listener(
      { ...written, protocol: "tls", name, timeouts: { ...timeouts, idle: timeouts.tunnelIdle } },
      i,
    ) as TcpListenerConfig
    const { connections } = limits
    return { name, address, protocol: "auto", proxyProtocol, limits: { connections }, timeouts: { detect: tcp.timeouts.detect }, http, tcp }
  }
  if (written.protocol === "tcp" || written.protocol === "tls") {
    return {
      name,
      address,
      protocol: written.protocol,
      proxyProtocol,
      serverNames: written.serverNames ?? [],
      backends: written.backends ?? [],
      filters: written.filters ?? [],
      limits: { connections: limits.connections },
      timeouts: { idle: timeouts.idle ?? 3_600_000, detect: timeouts.detect ?? 10_000 },
    }
  }
  return {
    name,
    address,
    protocol: "http",
    proxyProtocol,
    limits: {
      requestLine: limits.requestLine ?? 8192,
      head: limits.head ?? 32_768,
      fields: limits.fields ?? 100,
      body: limits.body ?? 0,
      connections: limits.connections,
    },
    timeouts: {
      head: timeouts.head ?? 10_000,
      idle: timeouts.idle ?? 60_000,
      halfClose: timeouts.halfClose ?? 1000,
      tunnelIdle: timeouts.tunnelIdle ?? 3_600_000,
    },
    trustedHops: written.trustedHops ?? 0,
    path: written.path ?? PATH_POLICIES,
  }
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

function route(written: WrittenRoute, i: number): RouteConfig {
  return {
    name: routeName(written.name, i),
    listeners: written.listeners ?? [],
    hosts: written.hosts ?? [],
    matches: written.match ?? [EVERY_REQUEST],
    filters: written.filters?.map(({ use, with: settings }) => ({ use, with: settings })) ?? [],
    action: action(written),
    timeout: { request: written.timeout?.request ?? 15_000, perTry: written.timeout?.perTry ?? 0, idle: written.timeout?.idle ?? 300_000 },
    headers: edits(written.headers),
  }
}

function action(written: WrittenRoute): RouteConfig["action"] {
  const { redirect, respond } = written
  if (redirect !== undefined) return { kind: "redirect", redirect }
  if (respond !== undefined) return { kind: "respond", status: respond.status, body: respond.body, headers: respond.headers ?? [] }
  const backends = (written.backends ?? []).map((backend): BackendConfig => {
    const headers = "headers" in backend ? backend.headers : undefined
    const rewrite = "rewrite" in backend ? backend.rewrite : undefined
    return { service: backend.service, weight: backend.weight, headers: edits(headers), ...(rewrite === undefined ? {} : { rewrite }) }
  })
  return { kind: "forward", backends, ...(written.rewrite === undefined ? {} : { rewrite: written.rewrite }) }
}

function edits(headers: WrittenRoute["headers"]): RouteConfig["headers"] {
  return { request: headers?.request ?? NO_EDITS, response: headers?.response ?? NO_EDITS }
}
