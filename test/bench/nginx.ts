// nginx: what the others are compared with, and the HTTP/1.1 origin.

import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "../support/ports.ts"
import { accepts, type Contender, type Running, type Surroundings } from "./contender.ts"
import { findProgram, otherCore, proxyCore, startServer } from "./processes.ts"
import { routePrefixes, type Scenario } from "./scenarios.ts"

const modules = "/usr/lib/nginx/modules"
const streamModule = join(modules, "ngx_stream_module.so")
const luaModule = join(modules, "ngx_http_lua_module.so")

interface Config {
  /** Modules to load. */
  readonly head?: string
  /** What is inside of `http`. */
  readonly http?: string
  /** Outside of it. */
  readonly others?: string
}

/** What every nginx of the bench shares. */
function configText(folder: string, { head = "", http = "", others = "" }: Config): string {
  return `${head}
worker_processes 1;
daemon off;
user root;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log error;
events { worker_connections 4096; }
${others}
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

async function start(name: string, core: number, folder: string, port: number, config: Config): Promise<Running> {
  const program = findProgram("nginx")
  if (program === null) throw new Error("the bench needs nginx: it is an origin and what the others are compared with")
  const file = join(folder, "nginx.conf")
  writeFileSync(file, configText(folder, config))
  const server = await startServer(name, core, [program, "-p", folder, "-e", join(folder, "error.log"), "-c", file], () => accepts(port))
  return { port, pid: server.pid, stop: server.stop }
}

/** Serves the bodies the scenarios with HTTP/1.1 upstream ask for, on the core of the load. */
export async function startHttp1Origin(folder: string): Promise<Running> {
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
  return start("origin", otherCore, folder, port, { http })
}

const luaFilter = `access_by_lua_block {
      if ngx.var.http_x_api_key == nil then
        ngx.status = 401
        ngx.say("missing x-api-key")
        return ngx.exit(401)
      end
      ngx.req.set_header("x-filtered", "yes")
    }`

/** nginx speaks HTTP/2 to an upstream through its gRPC module only; what that carries needn't be gRPC. */
function httpConfig(scenario: Scenario, port: number, { originPort, certificate, folder }: Surroundings): Config {
  const module = scenario.upstream === "h2" ? "grpc" : "proxy"
  const pass = module === "grpc" ? "grpc_pass grpc://origin;" : "proxy_pass http://origin;"
  const locations =
    scenario.routes === 0
      ? `location / { ${pass} }`
      : routePrefixes(scenario)
          .map((prefix) => `location ${prefix}/ { ${pass} }`)
          .join("\n")
  const listen = `listen 127.0.0.1:${port} backlog=4096${certificate !== null ? " ssl" : ""}${scenario.downstream === "h2" ? " http2" : ""};`
  const tls =
    certificate !== null
      ? `ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key}; ssl_protocols TLSv1.3; ssl_session_cache off;`
      : ""
  const http1 = `proxy_http_version 1.1;
    proxy_set_header connection "";
    proxy_buffers 16 16k;
    proxy_max_temp_file_size 0;`
  const http = `  upstream origin { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }
  server {
    ${listen}
    ${tls}
    ${module === "proxy" ? http1 : ""}
    ${module}_set_header host $http_host;
    ${module}_set_header x-forwarded-for $proxy_add_x_forwarded_for;
    ${module}_set_header x-forwarded-proto $scheme;
    ${module}_set_header x-forwarded-host $http_host;
    ${module}_set_header x-request-id $request_id;
    ${scenario.filter ? luaFilter : ""}
    ${scenario.observed ? `access_log ${folder}/access.log;` : ""}
    ${locations}
  }`
  return { http, head: scenario.filter ? `load_module ${modules}/ndk_http_module.so;\nload_module ${luaModule};` : "" }
}

export function nginx(): Contender {
  return {
    name: "nginx",
    missing: findProgram("nginx") === null ? "no nginx on the PATH" : null,
    suits: (scenario) => (!scenario.filter || existsSync(luaModule)) && (scenario.downstream !== "tcp" || existsSync(streamModule)),
    start: async (scenario, surroundings) => {
      const port = await freePort()
      const config: Config =
        scenario.downstream === "tcp"
          ? {
              head: `load_module ${streamModule};`,
              others: `stream { server { listen 127.0.0.1:${port} backlog=4096; proxy_half_close on; proxy_pass 127.0.0.1:${surroundings.originPort}; } }`,
            }
          : httpConfig(scenario, port, surroundings)
      return start("nginx", proxyCore, surroundings.folder, port, config)
    },
  }
}
