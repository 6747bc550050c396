// `sluice status`: a running gateway on one screen.

import type { ReadyState } from "../admin/status.ts"
import { adminArgument, askAdmin } from "./admin-client.ts"
import { adminText } from "./admin-stream.ts"
import { paintFor } from "./colour.ts"
import { type Command, command, UsageError, type Values } from "./command.ts"
import { readSamples, TRAFFIC_METRICS, trafficBetween } from "./exposition.ts"
import { type GatewayStatus, statusText } from "./status-text.ts"

/** ms the traffic is watched for. */
const WATCHED = 2000
const START = "process_start_time_seconds"

export const status: Command = command({
  name: "status",
  description: "Tell how a running gateway is: readiness, listeners, traffic of the last seconds, and what needs attention",
  args: { ...adminArgument, json: { type: "boolean", description: "As JSON", default: false } },
  examples: ["sluice status", "sluice status --admin 127.0.0.1:9901 --json"],
  run: async (args) => {
    let found: GatewayStatus
    try {
      found = await look(args)
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
    process.stdout.write(
      args.json === true ? `${JSON.stringify(found, null, 2)}\n` : statusText(found, paintFor(process.stdout), Date.now()),
    )
    return found.ready.ready ? 0 : 1
  },
})

async function look(args: Values): Promise<GatewayStatus> {
  const names = [...TRAFFIC_METRICS, START]
  // What answers no probe is asked nothing else.
  const ready = (await askAdmin(args, "/ready")).body as unknown as ReadyState
  const began = performance.now()
  const before = readSamples(await adminText(args, "/metrics"), names)
  const ended = new Promise<void>((resolve) => setTimeout(resolve, WATCHED))
  const [description, config, services, filters, canaries] = await Promise.all([
    ask(args, "/openapi.json"),
    ask(args, "/config"),
    ask(args, "/services"),
    ask(args, "/filters"),
    ask(args, "/canaries"),
  ])
  await ended
  const seconds = Math.round(performance.now() - began) / 1000
  const after = readSamples(await adminText(args, "/metrics"), names)
  const started = after.get(START)?.[0]?.value
  return {
    admin: String(args.admin),
    version: String((description.info as { version?: unknown } | undefined)?.version ?? ""),
    started: started === undefined ? null : new Date(started * 1000).toISOString(),
    ready,
    listeners: list(config.listeners),
    traffic: trafficBetween(before, after, seconds),
    services: list(services.services),
    filters: list(filters.filters),
    canaries: list(canaries.canaries),
  }
}

async function ask(args: Values, path: string): Promise<Readonly<Record<string, unknown>>> {
  const { status: answered, body } = await askAdmin(args, path)
  if (answered !== 200) throw new Error(`${path}: ${String(body.error ?? `status ${answered}`)}`)
  return body
}

function list<Item>(value: unknown): readonly Item[] {
  return Array.isArray(value) ? (value as Item[]) : []
}
