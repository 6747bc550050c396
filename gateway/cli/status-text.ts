// The state of a gateway as one screen for people.

import type { ServiceStatus } from "../admin/service-status.ts"
import type { FilterStatus, ReadyState } from "../admin/status.ts"
import type { CanaryStatus } from "../canary/canary-changes.ts"
import type { Address } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import type { Paint } from "./colour.ts"
import type { TrafficFigures } from "./exposition.ts"
import { printable } from "./table.ts"
import { time } from "./tap-line.ts"

export interface GatewayStatus {
  /** Address of its admin API. */
  readonly admin: string
  readonly version: string
  /** ISO 8601; null: not known. */
  readonly started: string | null
  readonly ready: ReadyState
  readonly listeners: readonly { readonly name: string; readonly address: Address; readonly kind?: string; readonly protocol?: string }[]
  readonly traffic: TrafficFigures
  readonly services: readonly Pick<ServiceStatus, "name" | "taking" | "usable" | "drained">[]
  readonly filters: readonly Pick<FilterStatus, "name" | "state" | "refused">[]
  readonly canaries: readonly Pick<CanaryStatus, "route" | "service" | "state" | "share">[]
}

/** Things named one by one; of more it is said how many there are. */
const MAX_NAMED = 8

/** `now`: ms since the epoch. */
export function statusText(told: GatewayStatus, paint: Paint, now: number): string {
  // Names and errors of others end up on a terminal.
  const status = JSON.parse(JSON.stringify(told), (_, value) =>
    typeof value === "string" ? printable(value).replaceAll("\n", " ") : value,
  ) as GatewayStatus
  const { ready, traffic } = status
  const state = ready.ready ? paint("ready", "green") : paint(ready.draining ? "draining" : "not ready", "red")
  const up = status.started === null ? "" : `, up for ${span(now - Date.parse(status.started))}`
  const lines = [`${paint("Sluice", "bold")} ${status.version} at ${status.admin}: ${state}${up}`]
  const add = (name: string, text: string): void => {
    lines.push(`${paint(name.padEnd(14), "grey")} ${text}`)
  }
  const { lastReload, workers } = ready
  const age =
    lastReload === null
      ? ""
      : lastReload.ok
        ? `, read ${ago(lastReload.at, now)}`
        : `; refused ${ago(lastReload.at, now)}: ${lastReload.error ?? ""}`
  add("configuration", `generation ${ready.generation}${age}`)
  add("workers", workers.running === workers.wanted ? `${workers.running}` : paint(`${workers.running} of ${workers.wanted}`, "yellow"))
  add("listeners", named(status.listeners.map(({ name, address }) => `${name} ${formatAddress(address)}`)))
  add("traffic", trafficText(traffic, paint))
  add("services", servicesText(status.services, paint))
  add("filters", filtersText(status.filters, paint))
  if (status.canaries.length > 0)
    add(
      "canaries",
      named(
        status.canaries.map(
          ({ route, service, state: at, share }) => `${route} → ${service} ${at === "rolledBack" ? "rolled back" : at} (${percent(share)})`,
        ),
      ),
    )
  for (const reason of ready.reasons) add("attention", paint(reason, "yellow"))
  return `${lines.join("\n")}\n`
}

function trafficText({ rate, success, p99, seconds }: TrafficFigures, paint: Paint): string {
  const over = `over the last ${time(seconds * 1000)}`
  if (success === null) return `no requests ${over}`
  const share = percent(success)
  const parts = [`${figure(rate)} requests/s`, `${success < 0.99 ? paint(share, "red") : share} without a failure`]
  if (p99 !== null) parts.push(`p99 ${time(p99)}`)
  return `${parts.join(", ")} ${over}`
}

function servicesText(services: GatewayStatus["services"], paint: Paint): string {
  const lacking = services.filter(({ taking, usable, drained }) => usable < taking || taking === 0 || drained > 0)
  if (lacking.length === 0) return services.length === 0 ? "none" : `${services.length}, all endpoints usable`
  const shown = lacking.map(({ name, taking, usable, drained }) =>
    paint(
      `${name} ${usable} of ${taking + drained} endpoints usable${drained > 0 ? `, ${drained} drained` : ""}`,
      usable === 0 ? "red" : "yellow",
    ),
  )
  return `${services.length}: ${named(shown)}`
}

function filtersText(filters: GatewayStatus["filters"], paint: Paint): string {
  const troubled = filters.filter(({ state, refused }) => state !== "running" || refused !== null)
  if (troubled.length === 0) return filters.length === 0 ? "none" : `${filters.length}, all running`
  const shown = troubled.map(({ name, state, refused }) =>
    paint(`${name} ${state === "running" && refused !== null ? "newest version refused" : state}`, "red"),
  )
  return `${filters.length}: ${named(shown)}`
}

function named(texts: readonly string[]): string {
  const rest = texts.length - MAX_NAMED
  return texts.slice(0, MAX_NAMED).join(", ") + (rest > 0 ? ` and ${rest} more` : "")
}

function percent(share: number): string {
  // Not rounded up to what it isn't.
  return `${Math.floor(share * 10_000) / 100}%`
}

function figure(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(Math.round(value * 10) / 10)
}

function ago(at: string, now: number): string {
  return `${span(now - Date.parse(at))} ago`
}

/** `40s`, `12m`, `3h 5m`, `2d 4h`. */
function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  return hours < 24 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`
}
