// Sluice with one worker, on each of its runtimes.

import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Gateway } from "../support/gateway.ts"
import type { Contender, Surroundings } from "./contender.ts"
import { findProgram, pinned, proxyCore } from "./processes.ts"
import { routePrefixes, type Scenario } from "./scenarios.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The command that runs gateway/main.ts on a runtime of the development dependencies, or null. */
export function sluiceCommand(runtime: string): string[] | null {
  const program = findProgram(runtime, [join(root, "node_modules/.bin")])
  if (program === null) return null
  return [program, ...(runtime === "deno" ? ["run", "-A", "--quiet"] : []), join(root, "gateway/main.ts")]
}

function listener({ downstream }: Scenario, { certificate }: Surroundings): object {
  const bound = { name: "bench", address: "127.0.0.1:0" }
  if (downstream === "tcp") return { ...bound, protocol: "tcp", backends: "origin" }
  // HTTP/2 is spoken beside HTTP/1.1: by prior knowledge without TLS, by ALPN with it.
  if (certificate === null) return bound
  const { cert, key } = certificate
  return { ...bound, protocol: "https", tls: { certificates: [{ cert, key }] } }
}

function sluiceConfig(scenario: Scenario, surroundings: Surroundings): object {
  const route = { backends: "origin", filters: scenario.filter ? ["header"] : [] }
  const routes = scenario.routes === 0 ? [route] : routePrefixes(scenario).map((prefix) => ({ ...route, match: { path: prefix } }))
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog: scenario.observed ? { when: "all", to: { file: join(surroundings.folder, "access.log") } } : "off",
    // The origin takes anything.
    ...(scenario.observed ? { tracing: { otlp: `http://127.0.0.1:${surroundings.originPort}`, sampling: "1%" } } : {}),
    listeners: [listener(scenario, surroundings)],
    services: {
      origin: { endpoints: [`127.0.0.1:${surroundings.originPort}`], ...(scenario.upstream === "h2" ? { protocol: "h2" } : {}) },
    },
    filters: scenario.filter ? { header: { module: join(root, "test/bench/filters/header.ts") } } : {},
    routes: scenario.downstream === "tcp" ? [] : routes,
  }
}

export function sluice(runtime: string): Contender {
  const command = sluiceCommand(runtime)
  return {
    name: `sluice-${runtime}`,
    missing: command === null ? `no ${runtime} in node_modules` : null,
    suits: () => true,
    start: async (scenario, surroundings) => {
      const gateway = await Gateway.start({
        config: sluiceConfig(scenario, surroundings),
        command: pinned(proxyCore, command as string[]),
        startLimit: 60_000,
      })
      return { port: gateway.port("bench"), pid: gateway.pid, stop: async () => void (await gateway.stop()) }
    },
  }
}
