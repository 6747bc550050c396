// `sluice services`: the services of a running gateway and their endpoints, with health, load, latency and what is used of limits.

import type { EndpointStatus, ServiceStatus } from "../admin/service-status.ts"
import { adminArgument, askAdmin, refusalOf } from "./admin-client.ts"
import { type Command, command, UsageError } from "./command.ts"
import { printable, table } from "./table.ts"

const SERVICE_HEAD = ["SERVICE", "USABLE", "ACTIVE", "CONNECTIONS", "REQUESTS", "FAILURES", "P50", "P99", "LIMITS"]
const ENDPOINT_HEAD = ["ENDPOINT", "WEIGHT", "STATE", "ACTIVE", "CONNECTIONS", "REQUESTS", "FAILURES", "LATENCY"]

export const services: Command = command({
  name: "services",
  description: "List the services of a running gateway, or the endpoints of one: health, load, latency, limits",
  args: {
    service: { type: "positional", description: "Name of a service; default: all, a line each", valueHint: "SERVICE", required: false },
    ...adminArgument,
    json: { type: "boolean", description: "As JSON, with everything that is known", default: false },
  },
  examples: ["sluice services", "sluice services api", "sluice services --json"],
  run: async (args) => {
    try {
      const { status, body } = await askAdmin(args, "/services")
      if (status !== 200 || !Array.isArray(body.services)) throw new Error(refusalOf(status, body))
      const all = body.services as ServiceStatus[]
      const shown = typeof args.service === "string" ? all.filter(({ name }) => name === args.service) : all
      if (shown.length === 0 && typeof args.service === "string") {
        throw new Error(`there is no service ${args.service}; there are ${all.map(({ name }) => name).join(", ") || "none"}`)
      }
      const text = typeof args.service === "string" ? endpointTable(shown[0]) : serviceTable(shown)
      process.stdout.write(args.json === true ? `${JSON.stringify(shown, null, 2)}\n` : text)
      return 0
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${printable((error as Error).message)}\n`)
      return 1
    }
  },
})

/** Lines for a person: one a service, then what needs attention. */
export function serviceTable(all: readonly ServiceStatus[]): string {
  if (all.length === 0) return "no services\n"
  const rows = [
    SERVICE_HEAD,
    ...all.map((service) => [
      service.name,
      `${service.usable}/${service.endpoints.length}`,
      String(service.underWay.requests),
      String(service.underWay.connections),
      String(service.requests),
      String(service.failures),
      service.latency === null ? "-" : time(service.latency.p50),
      service.latency === null ? "-" : time(service.latency.p99),
      service.full.length === 0 ? "ok" : `full: ${service.full.join(", ")}`,
    ]),
  ]
  return lines(rows, all.flatMap(notesOf))
}

/** One an endpoint. */
export function endpointTable(service: ServiceStatus): string {
  const rows = [
    ENDPOINT_HEAD,
    ...service.endpoints.map((endpoint) => [
      endpoint.address,
      String(endpoint.weight),
      stateOf(endpoint),
      endpoint.active === null ? "-" : String(endpoint.active.requests),
      endpoint.active === null ? "-" : String(endpoint.active.connections),
      endpoint.requests === null ? "-" : String(endpoint.requests),
      endpoint.failures === null ? "-" : String(endpoint.failures),
      endpoint.latency === null ? "-" : time(endpoint.latency),
    ]),
  ]
  return lines(rows, notesOf(service))
}

function stateOf({ weight, healthy, ejected, drained }: EndpointStatus): string {
  if (drained !== null) return "drained"
  if (ejected !== null) return ejected.until === null ? "on probation" : "ejected"
  if (healthy === false) return "unwell"
  if (weight === 0) return "no weight"
  return healthy === null ? "used" : "healthy"
}

function notesOf(service: ServiceStatus): string[] {
  const notes: string[] = []
  const { name, endpoints, usable, failover } = service
  if (usable === 0) notes.push(`${name}: no endpoint is usable${failover === null ? "" : `; its requests go to ${failover}`}`)
  for (const { address, drained, ejected } of endpoints) {
    if (drained !== null)
      notes.push(
        `${name}: ${address} is drained since ${plain(drained)}; sluice drain ${name} ${address} --undrain gives it requests again`,
      )
    else if (ejected !== null) {
      const until = ejected.until === null ? "until a request to it succeeds" : `until ${plain(ejected.until)}`
      notes.push(`${name}: ${address} is ejected (${ejected.reason}) ${until}`)
    }
  }
  const refused = Object.entries(service.refused).map(([limit, count]) => `${limit} ${count}`)
  if (refused.length > 0) notes.push(`${name}: limits have refused: ${refused.join(", ")}`)
  return notes
}

function lines(rows: readonly (readonly string[])[], notes: readonly string[]): string {
  return `${[...table(rows), ...(notes.length === 0 ? [] : ["", ...notes])].map(printable).join("\n")}\n`
}

function plain(time: string): string {
  return time.replace(/\.\d+Z$/, "Z")
}

function time(ms: number): string {
  return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)}ms`
}
