// `sluice check --admin`: looks over a running gateway and says of each thing whether it is well, and what to do if it isn't.

import { connect } from "node:net"
import type { CertificateStatus } from "../admin/certificate-status.ts"
import type { ServiceStatus } from "../admin/service-status.ts"
import type { FilterStatus, ReadyState } from "../admin/status.ts"
import { isLoopback } from "../config/loopback.ts"
import { packageVersion } from "../version.ts"
import { questionAdmin } from "./admin-client.ts"
import { readAll, requestAdmin } from "./admin-request.ts"
import { adminTarget } from "./admin-target.ts"
import type { Values } from "./command.ts"
import { printable, table } from "./table.ts"

export interface Finding {
  readonly state: "ok" | "warn" | "fail"
  readonly what: string
  /** What is wrong, and what to do; "" = nothing. */
  readonly say: string
}

/** Days before its end from which a certificate is warned of. */
const DAYS = 14
/** Seconds an event loop may be late. */
const LATE = 0.1
const TOO_LATE = 0.25
const MAX_METRICS = 64 * 1024 * 1024
/** ms for a listener to take a connection. */
const CONNECT_TIMEOUT = 2000
/** Things of one kind that are named. */
const NAMED = 5

/** What a gateway has told of itself. */
export interface Told {
  readonly version: string
  readonly ready: ReadyState
  readonly services: readonly ServiceStatus[]
  readonly filters: readonly FilterStatus[]
  readonly certificates: readonly CertificateStatus[]
  /** Addresses of listeners that don't take connections, with the reason; null: they weren't tried. */
  readonly closed: readonly string[] | null
  readonly metrics: string
}

/** The exit code. */
export async function checkRunning(args: Values): Promise<number> {
  const findings = judge(await ask(args))
  process.stdout.write(args.json === true ? `${JSON.stringify(findings, null, 2)}\n` : findingsText(findings))
  return findings.some(({ state }) => state === "fail") ? 1 : 0
}

async function ask(args: Values): Promise<Told> {
  const target = adminTarget(args)
  const [{ info }, ready, { services }, { filters }, { certificates }, { listeners }, metrics] = await Promise.all([
    questionAdmin(args, "/openapi.json"),
    readiness(args),
    questionAdmin(args, "/services"),
    questionAdmin(args, "/filters"),
    questionAdmin(args, "/certificates"),
    questionAdmin(args, "/config"),
    requestAdmin(target, "/metrics").then((answer) => readAll(answer, MAX_METRICS)),
  ])
  return {
    version: (info as { version: string }).version,
    ready,
    services: services as ServiceStatus[],
    filters: filters as FilterStatus[],
    certificates: certificates as CertificateStatus[],
    closed: await closedListeners(listeners as ListenerAddress[], target.host),
    metrics: metrics.toString(),
  }
}

// It answers 503 while it doesn't serve.
async function readiness(args: Values): Promise<ReadyState> {
  const answer = await requestAdmin(adminTarget(args), "/ready")
  const state = JSON.parse((await readAll(answer, MAX_METRICS)).toString()) as ReadyState & { error?: string }
  if (state.reasons === undefined) throw new Error(state.error ?? "it doesn't say how it is; give the token of its admin API")
  return state
}

interface ListenerAddress {
  readonly name: string
  readonly address: { readonly host: string; readonly port: number }
}

async function closedListeners(listeners: readonly ListenerAddress[], host: string): Promise<string[] | null> {
  // Of port 0 nobody but the gateway knows which it became; from elsewhere only what listens for elsewhere can be tried.
  const local = isLoopback(host)
  const tried = listeners.filter(({ address }) => address.port !== 0 && (local || !isLoopback(address.host)))
  if (tried.length === 0) return null
  const found = await Promise.all(
    tried.map(async ({ name, address }) => {
      const any = address.host === "0.0.0.0" || address.host === "::"
      const why = await closedBecause(any ? host : address.host, address.port)
      return why === null ? [] : [`${name} (port ${address.port}): ${why}`]
    }),
  )
  return found.flat()
}

function closedBecause(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT })
    const done = (why: string | null): void => {
      socket.destroy()
      resolve(why)
    }
    socket.on("connect", () => done(null))
    socket.on("timeout", () => done("no answer"))
    socket.on("error", (error: Error & { code?: string }) => done(error.code ?? error.message))
  })
}

/** Whether each thing is well. Pure. */
export function judge({ version, ready, services, filters, certificates, closed, metrics }: Told): Finding[] {
  const own = packageVersion()
  const findings: Finding[] = [
    finding("version", version === own ? [] : [`the gateway is ${version}, this command ${own}; use the same`], "warn"),
    finding("serves", ready.ready ? [] : [`${ready.reasons[0] ?? "it doesn't"}; look at its log`], "fail"),
    finding(
      "workers",
      ready.workers.running >= ready.workers.wanted
        ? []
        : [`${ready.workers.running} of ${ready.workers.wanted} run; the log says why others ended`],
      "fail",
    ),
    finding(
      "ports",
      (closed ?? []).map((each) => `${each}; look whether the address and its firewall are right`),
      "fail",
    ),
    finding(
      "configuration",
      ready.lastReload?.ok === false ? [`the newest was refused: ${ready.lastReload.error}; mend the file`] : [],
      "fail",
    ),
    finding(
      "remarks",
      ready.ready ? ready.reasons.filter((reason) => !/^(?:filter|the newest version of filter|the last configuration) /.test(reason)) : [],
      "warn",
    ),
  ]
  const gone = certificates.filter(({ daysLeft }) => daysLeft < 0).map((each) => `${nameOf(each)} has expired; put a new one in its place`)
  const soon = certificates
    .filter(({ daysLeft }) => daysLeft >= 0 && daysLeft < DAYS)
    .map((each) => `${nameOf(each)} expires in ${each.daysLeft} days; put a new one in its place before`)
  findings.push(gone.length > 0 ? finding("certificates", [...gone, ...soon], "fail") : finding("certificates", soon, "warn"))
  const empty = services
    .filter(({ taking, usable }) => taking > 0 && usable === 0)
    .map(({ name }) => `${name} has no endpoint that is well; look at the service`)
  const unwell = services.flatMap(({ name, endpoints }) =>
    endpoints.flatMap(({ address, healthy, ejected }) => {
      if (ejected !== null) return [`${address} of ${name} is ejected (${ejected.reason}); look at it`]
      return healthy === false ? [`${address} of ${name} is unwell by its health checks; look at it`] : []
    }),
  )
  findings.push(empty.length > 0 ? finding("services", [...empty, ...unwell], "fail") : finding("services", unwell, "warn"))
  const quarantined = filters
    .filter(({ state }) => state === "quarantined" || state === "failed")
    .map(({ name, state, held, lastError }) =>
      held !== null
        ? `${name} is in quarantine by order; sluice filter release ${name} ends that`
        : `${name} is ${state}${lastError === null ? "" : `: ${lastError.message}`}; mend it, or sluice filter release ${name}`,
    )
  const refused = filters
    .filter(({ refused }) => refused !== null)
    .map(({ name, refused }) => `the newest version of ${name} was refused: ${refused?.message}; mend it`)
  findings.push(quarantined.length > 0 ? finding("filters", [...quarantined, ...refused], "fail") : finding("filters", refused, "warn"))
  const lag = Math.max(0, ...[...metrics.matchAll(/^sluice_event_loop_lag_seconds\{[^}]*\} (\S+)/gm)].map(([, value]) => Number(value)))
  const late =
    lag > LATE ? [`a worker is ${Math.round(lag * 1000)} ms late; give it more CPU, or see sluice filter ls for a slow filter`] : []
  findings.push(finding("event loop", late, lag > TOO_LATE ? "fail" : "warn"))
  return findings
}

function finding(what: string, problems: readonly string[], state: "warn" | "fail"): Finding {
  if (problems.length === 0) return { state: "ok", what, say: "" }
  const more = problems.length > NAMED ? ` (and ${problems.length - NAMED} more)` : ""
  return { state, what, say: `${problems.slice(0, NAMED).join("\n")}${more}` }
}

function nameOf({ shownBy, name, subject, names }: CertificateStatus): string {
  return `the certificate ${names[0] ?? subject} of ${shownBy}${name === "" ? "" : ` ${name}`}`
}

/** Lines for a person. */
export function findingsText(findings: readonly Finding[]): string {
  const rows = findings.flatMap(({ state, what, say }) =>
    say.split("\n").map((line, i) => (i === 0 ? [state, what, printable(line)] : ["", "", printable(line)])),
  )
  return `${table([["", "CHECK", "WHAT TO DO"], ...rows]).join("\n")}\n`
}
