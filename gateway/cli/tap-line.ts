// An exchange that was tapped, for people: one line, and with everything that is known some more below it.

import type { TapAttempt, TapEvent, TapFilter } from "../tap/event.ts"
import type { Paint } from "./colour.ts"
import { printable } from "./table.ts"

/** Lines with their newlines. */
export function tapText(event: TapEvent, paint: Paint, verbose: boolean): string {
  const line = summary(event, paint)
  return `${verbose ? [line, ...details(event, paint)].join("\n") : line}\n`
}

function summary(event: TapEvent, paint: Paint): string {
  const what = event.protocol === "TCP" ? `TCP ${event.authority ?? ""}`.trimEnd() : `${event.method} ${event.path}`
  const parts = [paint(event.time.slice(11, 23), "grey"), safe(what)]
  if (event.status !== undefined) parts.push(status(event.status, paint))
  if (event.grpcStatus !== undefined) parts.push(`grpc ${event.grpcStatus}`)
  if (event.open === true) parts.push(paint("open", "yellow"))
  if (event.flag !== "") parts.push(paint(safe(event.flag), "red"))
  parts.push(time(event.duration), way(event, paint))
  const { attempts = [], filters = [] } = event
  if (attempts.length > 1)
    parts.push(paint(`${attempts.length} attempts (${attempts.map((each) => outcome(each, event.protocol)).join(", ")})`, "yellow"))
  if (filters.length > 0) parts.push(paint(`[${filtersIn(filters)}]`, "cyan"))
  return parts.join(" ")
}

// `api → users → 10.0.0.1:80`
function way({ listener, route, service, endpoint }: TapEvent, paint: Paint): string {
  const names = [route === "" ? listener : route, service, endpoint].filter((name) => name !== "")
  return names.map(safe).join(paint(" → ", "grey"))
}

function outcome({ status: answered, failed, connection }: TapAttempt, protocol: string): string {
  if (failed !== "") return failed
  if (protocol === "TCP" && connection >= 0) return "connected"
  return answered > 0 ? String(answered) : "given up"
}

/** Each filter once: the time of all its phases, and what it did but let it go on. */
function filtersIn(filters: readonly TapFilter[]): string {
  const names = [...new Set(filters.map(({ name }) => name))]
  return names
    .map((name) => {
      const own = filters.filter((filter) => filter.name === name)
      const took = own.reduce((sum, filter) => sum + filter.took, 0)
      const others = [...new Set(own.map((filter) => filter.outcome))].filter((each) => each !== "continue")
      return [safe(name), time(took), ...others].join(" ")
    })
    .join(", ")
}

function details(event: TapEvent, paint: Paint): string[] {
  const lines: string[] = []
  const label = (name: string): string => `    ${paint(name.padEnd(9), "grey")}`
  const from = [`from ${event.source}`, ...(event.peer === undefined ? [] : [event.peer]), event.protocol]
  if (event.authority !== undefined && event.authority !== "") from.push(`for ${event.authority}`)
  lines.push(`${label("client")}${from.map(safe).join("  ")}`)
  const ids = [event.id, ...(event.trace === undefined ? [] : [`trace ${event.trace}`]), `worker ${event.worker}`]
  lines.push(
    `${label("request")}${ids
      .filter((id) => id !== "")
      .map(safe)
      .join("  ")}`,
  )
  lines.push(`${label("octets")}${event.requestBytes} from the client, ${event.responseBytes} to it`)
  if (event.flagDetails !== "") lines.push(`${label("why")}${paint(safe(event.flagDetails), "red")}`)
  if (event.phases !== undefined) {
    const phases = Object.entries(event.phases).map(([name, took]) => `${PHASES[name] ?? name} ${time(took as number)}`)
    lines.push(`${label("time")}${phases.join(", ")}`)
  }
  for (const attempt of event.attempts ?? []) lines.push(`${label("attempt")}${attemptText(attempt, event.protocol)}`)
  for (const filter of event.filters ?? []) lines.push(`${label("filter")}${filterText(filter)}`)
  for (const [name, value] of event.requestHeaders ?? []) lines.push(`    ${paint(">", "blue")} ${safe(`${name}: ${value}`)}`)
  for (const [name, value] of event.responseHeaders ?? []) lines.push(`    ${paint("<", "green")} ${safe(`${name}: ${value}`)}`)
  if (event.cut === true) lines.push(`    ${paint("what was too long was left out", "grey")}`)
  return lines
}

const PHASES: Readonly<Record<string, string>> = { clientHead: "head of the request" }

function attemptText(attempt: TapAttempt, protocol: string): string {
  const { endpoint, start, connection, upstream, took, reused, hedged, details: why } = attempt
  const parts = [safe(endpoint), outcome(attempt, protocol), ...(why === undefined ? [] : [safe(why)]), `began after ${time(start)}`]
  if (connection >= 0) parts.push(reused ? "kept connection" : `connection in ${time(connection)}`)
  if (upstream >= 0) parts.push(`head after ${time(upstream)}`)
  parts.push(`took ${time(took)}`)
  if (hedged) parts.push("beside another")
  return parts.join(", ")
}

function filterText({ name, phase, took, waited, outcome: did, added = [], changed = [], removed = [] }: TapFilter): string {
  const parts = [safe(name), phase, time(took), did]
  if (waited !== undefined) parts.push(`held it for ${time(waited)}`)
  const edits = [...added.map((each) => `+${each}`), ...changed.map((each) => `~${each}`), ...removed.map((each) => `-${each}`)]
  if (edits.length > 0) parts.push(safe(edits.join(" ")))
  return parts.join(", ")
}

function status(code: number, paint: Paint): string {
  if (code === 0) return paint("none", "red")
  return paint(String(code), code >= 500 ? "red" : code >= 400 ? "yellow" : "green")
}

/** `0.3ms`, `12ms`, `1.2s`. */
export function time(ms: number): string {
  if (ms >= 10_000) return `${Math.round(ms / 1000)}s`
  if (ms >= 1000) return `${Math.round(ms / 100) / 10}s`
  return ms >= 10 ? `${Math.round(ms)}ms` : `${Math.round(ms * 10) / 10}ms`
}

function safe(text: string): string {
  return printable(text).replaceAll("\n", " ")
}
