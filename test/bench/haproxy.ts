// HAProxy with one thread.

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "../support/ports.ts"
import { accepts, type Contender, type Surroundings } from "./contender.ts"
import { findProgram, proxyCore, startServer } from "./processes.ts"
import { routePrefixes, type Scenario } from "./scenarios.ts"

function bindOptions({ downstream }: Scenario, { certificate }: Surroundings): string {
  const protocol = downstream === "h2" ? "h2" : "http/1.1"
  if (certificate !== null) return `ssl crt ${certificate.both} ssl-min-ver TLSv1.3 alpn ${protocol}`
  return downstream === "h2" ? "proto h2" : ""
}

function httpRules(scenario: Scenario, { folder }: Surroundings): string {
  const map = join(folder, "routes.map")
  writeFileSync(
    map,
    routePrefixes(scenario)
      .map((prefix) => `${prefix}/ origin\n`)
      .join(""),
  )
  const filter = scenario.filter
    ? "http-request deny deny_status 401 unless { req.hdr(x-api-key) -m found }\n  http-request set-header x-filtered yes"
    : ""
  return `unique-id-format %[uuid()]
  unique-id-header x-request-id
  http-request set-header x-forwarded-proto ${scenario.tls ? "https" : "http"}
  http-request set-header x-forwarded-host %[req.hdr(host)]
  ${filter}
  ${scenario.routes === 0 ? "default_backend origin" : `use_backend %[path,map_beg(${map})]`}`
}

function configText(scenario: Scenario, port: number, surroundings: Surroundings): string {
  const tcp = scenario.downstream === "tcp"
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode ${tcp ? "tcp" : "http"}
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  ${tcp ? "" : "option forwardfor\n  http-reuse always"}
frontend front
  bind 127.0.0.1:${port} backlog 4096 ${bindOptions(scenario, surroundings)}
  ${tcp ? "default_backend origin" : httpRules(scenario, surroundings)}
backend origin
  server origin 127.0.0.1:${surroundings.originPort} ${tcp ? "" : "pool-max-conn 256"} ${scenario.upstream === "h2" ? "proto h2" : ""}
`
}

export function haproxy(): Contender {
  const program = findProgram("haproxy")
  return {
    name: "haproxy",
    missing: program === null ? "no haproxy on the PATH" : null,
    // Its access log goes to a socket, not to a file.
    suits: ({ observed }) => !observed,
    start: async (scenario, surroundings) => {
      const port = await freePort()
      const file = join(surroundings.folder, "haproxy.cfg")
      writeFileSync(file, configText(scenario, port, surroundings))
      const server = await startServer("haproxy", proxyCore, [program as string, "-db", "-q", "-f", file], () => accepts(port))
      return { port, pid: server.pid, stop: server.stop }
    },
  }
}
