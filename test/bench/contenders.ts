// The proxies the bench compares. Each does the same work: pooled keep-alive connections to the origin, x-forwarded-for,
// -proto and -host, an x-request-id, HTTP/1.1, no access log, one worker.

import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Gateway } from "../support/gateway.ts"
import { freePort } from "../support/ports.ts"
import { RawClient } from "../support/raw-client.ts"
import { findProgram, otherCore, pinned, proxyCore, startServer } from "./processes.ts"
import { routePrefix, type Scenario } from "./scenarios.ts"

export interface Running {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

export interface Contender {
  readonly name: string
  /** Null: can't run here, and why is in `missing`. */
  readonly missing: string | null
  /** Whether it takes part in a scenario. */
  suits(scenario: Scenario): boolean
  /** `folder` is its own, and empty. */
  start(scenario: Scenario, originPort: number, folder: string): Promise<Running>
}

const root = fileURLToPath(new URL("../..", import.meta.url))
const modules = "/usr/lib/nginx/modules"

async function answers(port: number): Promise<boolean> {
  try {
    const client = await RawClient.connect(port)
    client.destroy()
    return true
  } catch {
    return false
  }
}

function prefixes(scenario: Scenario): string[] {
  return Array.from({ length: scenario.routes }, (_, index) => routePrefix(index))
}

/** What every nginx of the bench shares. */
function nginxConfig(folder: string, http: string, head: string = ""): string {
  return `${head}
worker_processes 1;
daemon off;
user root;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${http}
}
`
}

async function startNginx(name: string, core: number, program: string, folder: string, port: number, config: string): Promise<Running> {
  const file = join(folder, "nginx.conf")
  writeFileSync(file, config)
  const server = await startServer(name, core, [program, "-p", folder, "-e", join(folder, "error.log"), "-c", file], () => answers(port))
  return { port, pid: server.pid, stop: server.stop }
}

/** Serves the bodies every scenario asks for, on the core of the load. */
export async function startOrigin(folder: string): Promise<Running> {
  const program = findProgram("nginx")
  if (program === null) throw new Error("the bench needs nginx: it is the origin and what the others are compared with")
  const port = await freePort()
  writeFileSync(join(folder, "64k"), "x".repeat(65_536))
  const small = "x".repeat(1024)
  const http = `  open_file_cache max=10 inactive=600s;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type text/plain;
    location / { return 200 "${small}"; }
    location = /64k { root ${folder}; }
  }`
  return startNginx("origin", otherCore, program, folder, port, nginxConfig(folder, http))
}

function nginx(): Contender {
  const program = findProgram("nginx")
  const lua = existsSync(join(modules, "ngx_http_lua_module.so"))
  return {
    name: "nginx",
    missing: program === null ? "no nginx on the PATH" : null,
    suits: (scenario) => !scenario.filter || lua,
    start: async (scenario, originPort, folder) => {
      const port = await freePort()
      const pass = `proxy_pass http://origin;`
      const locations =
        scenario.routes === 0
          ? `location / { ${pass} }`
          : prefixes(scenario)
              .map((prefix) => `location ${prefix}/ { ${pass} }`)
              .join("\n")
      const filter = scenario.filter
        ? `access_by_lua_block {
      if ngx.var.http_x_api_key == nil then
        ngx.status = 401
        ngx.say("missing x-api-key")
        return ngx.exit(401)
      end
      ngx.req.set_header("x-filtered", "yes")
    }`
        : ""
      const http = `  upstream origin { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header connection "";
    proxy_set_header host $http_host;
    proxy_set_header x-forwarded-for $proxy_add_x_forwarded_for;
    proxy_set_header x-forwarded-proto $scheme;
    proxy_set_header x-forwarded-host $http_host;
    proxy_set_header x-request-id $request_id;
    proxy_buffers 16 16k;
    proxy_max_temp_file_size 0;
    ${filter}
    ${locations}
  }`
      const head = scenario.filter ? `load_module ${modules}/ndk_http_module.so;\nload_module ${modules}/ngx_http_lua_module.so;` : ""
      return startNginx("nginx", proxyCore, program as string, folder, port, nginxConfig(folder, http, head))
    },
  }
}

function haproxy(): Contender {
  const program = findProgram("haproxy")
  return {
    name: "haproxy",
    missing: program === null ? "no haproxy on the PATH" : null,
    suits: () => true,
    start: async (scenario, originPort, folder) => {
      const port = await freePort()
      const map = join(folder, "routes.map")
      writeFileSync(
        map,
        prefixes(scenario)
          .map((prefix) => `${prefix}/ origin\n`)
          .join(""),
      )
      const routing = scenario.routes === 0 ? "default_backend origin" : `use_backend %[path,map_beg(${map})]`
      const filter = scenario.filter
        ? "http-request deny deny_status 401 unless { req.hdr(x-api-key) -m found }\n  http-request set-header x-filtered yes"
        : ""
      const file = join(folder, "haproxy.cfg")
      writeFileSync(
        file,
        `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option forwardfor
  http-reuse always
frontend front
  bind 127.0.0.1:${port} backlog 4096
  unique-id-format %[uuid()]
  unique-id-header x-request-id
  http-request set-header x-forwarded-proto http
  http-request set-header x-forwarded-host %[req.hdr(host)]
  ${filter}
  ${routing}
backend origin
  server origin 127.0.0.1:${originPort} pool-max-conn 256
`,
      )
      const server = await startServer("haproxy", proxyCore, [program as string, "-db", "-q", "-f", file], () => answers(port))
      return { port, pid: server.pid, stop: server.stop }
    },
  }
}

/** The command that runs gateway/main.ts on a runtime of the development dependencies, or null. */
export function sluiceCommand(runtime: string): string[] | null {
  const program = findProgram(runtime, [join(root, "node_modules/.bin")])
  if (program === null) return null
  return [program, ...(runtime === "deno" ? ["run", "-A", "--quiet"] : []), join(root, "gateway/main.ts")]
}

export function sluiceConfig(scenario: Scenario, originPort: number): object {
  const filters = scenario.filter ? ["header"] : []
  const route = { backends: "origin", filters }
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog: "off",
    listeners: [{ name: "bench", address: "127.0.0.1:0" }],
    services: { origin: { endpoints: [`127.0.0.1:${originPort}`] } },
    filters: scenario.filter ? { header: { module: join(root, "test/bench/filters/header.ts") } } : {},
    routes: scenario.routes === 0 ? [route] : prefixes(scenario).map((prefix) => ({ ...route, match: { path: prefix } })),
  }
}

function sluice(runtime: string): Contender {
  const command = sluiceCommand(runtime)
  return {
    name: `sluice-${runtime}`,
    missing: command === null ? `no ${runtime} in node_modules` : null,
    suits: () => true,
    start: async (scenario, originPort) => {
      const gateway = await Gateway.start({
        config: sluiceConfig(scenario, originPort),
        command: pinned(proxyCore, command as string[]),
        startLimit: 60_000,
      })
      return { port: gateway.port("bench"), pid: gateway.pid, stop: async () => void (await gateway.stop()) }
    },
  }
}

/** Any proxy by its command line; `{port}`, `{origin}` and `{folder}` are filled in. For one route and no filter. */
export function custom(name: string, template: string): Contender {
  return {
    name,
    missing: null,
    suits: (scenario) => !scenario.filter && scenario.routes === 0,
    start: async (_scenario, originPort, folder) => {
      const port = await freePort()
      const filled = template.replaceAll("{port}", String(port)).replaceAll("{origin}", String(originPort)).replaceAll("{folder}", folder)
      const server = await startServer(name, proxyCore, filled.split(/\s+/), () => answers(port))
      return { port, pid: server.pid, stop: server.stop }
    },
  }
}

/** In the order of the tables. The first is what the others are compared with. */
export function contenders(): Contender[] {
  return [nginx(), haproxy(), sluice("bun"), sluice("node"), sluice("deno")]
}
