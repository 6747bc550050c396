// Hands out the metric slots of everything a snapshot names, so that workers count without looking anything up. It counts
// nothing itself.

import { httpPart, tcpPart } from "../config/listener-parts.ts"
import type { Config } from "../config/model.ts"
import type { SnapshotSlots } from "../snapshot.ts"
import type { Instruments, RouteSlots, TcpSlots } from "../telemetry/instruments.ts"

/** Slots for everything `config` names. A name that had some before gets the same ones. */
export function snapshotSlots(config: Config, instruments: Instruments, epoch: number): SnapshotSlots {
  const routes: Record<string, Record<string, Record<string, RouteSlots>>> = {}
  const tcp: Record<string, Record<string, TcpSlots>> = {}
  for (const each of config.listeners) {
    const listener = each.name
    const connections = tcpPart(each)
    if (connections !== null) {
      const backends = [connections, ...connections.serverNames].flatMap((part) => part.backends)
      // A filter may choose any service.
      const services = ["-", ...Object.keys(config.services), ...backends.map(({ service }) => service)]
      tcp[listener] = Object.fromEntries(services.map((service) => [service, instruments.tcp(listener, service)]))
    }
    if (httpPart(each) === null) continue
    const own: Record<string, Record<string, RouteSlots>> = { "-": { "-": instruments.route(listener, "-", "-") } }
    for (const route of config.routes) {
      if (route.listeners.length > 0 && !route.listeners.includes(listener)) continue
      const services: Record<string, RouteSlots> = { "-": instruments.route(listener, route.name, "-") }
      const { action } = route
      if (action.kind === "forward") {
        for (const { service } of action.backends) services[service] = instruments.route(listener, route.name, service)
      }
      own[route.name] = services
    }
    routes[listener] = own
  }
  const named = <T>(names: readonly string[], slots: (name: string) => T): Record<string, T> =>
    Object.fromEntries(names.map((name) => [name, slots(name)]))
  return {
    epoch,
    listeners: named(
      config.listeners.map(({ name }) => name),
      (name) => instruments.listener(name),
    ),
    routes,
    tcp,
    services: named(Object.keys(config.services), (name) => instruments.service(name)),
    shaping: instruments.shaping.slots(config.routes),
    filters: named(Object.keys(config.filters), (name) =>
      named(
        config.filters[name].versions.map((version) => version.name),
        (version) => instruments.filters.slots(name, version),
      ),
    ),
  }
}
