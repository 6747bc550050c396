// The proxies the bench compares. Each does the same work: pooled connections to the origin, x-forwarded-for, -proto and -host,
// an x-request-id, no access log, one worker.

import { freePort } from "../support/ports.ts"
import { accepts, type Contender } from "./contender.ts"
import { haproxy } from "./haproxy.ts"
import { nginx } from "./nginx.ts"
import { proxyCore, startServer } from "./processes.ts"
import { isPlainHttp1 } from "./scenarios.ts"
import { sluice } from "./sluice.ts"

/** Any proxy by its command line; `{port}`, `{origin}` and `{folder}` are filled in. For plain HTTP/1.1. */
export function custom(name: string, template: string): Contender {
  return {
    name,
    missing: null,
    suits: isPlainHttp1,
    start: async (_scenario, { originPort, folder }) => {
      const port = await freePort()
      const filled = template.replaceAll("{port}", String(port)).replaceAll("{origin}", String(originPort)).replaceAll("{folder}", folder)
      const server = await startServer(name, proxyCore, filled.split(/\s+/), () => accepts(port))
      return { port, pid: server.pid, stop: server.stop }
    },
  }
}

/** No proxy at all, where the load and an origin made for the scenario can talk to each other: what both are good for. */
function direct(): Contender {
  return {
    name: "direct",
    missing: null,
    suits: ({ downstream, upstream, tls }) => downstream === upstream && downstream !== "http1" && !tls,
    start: async (_scenario, { originPort }) => ({ port: originPort, pid: -1, stop: async () => {} }),
  }
}

/** In the order of the tables. The first is what the others are compared with. */
export function contenders(): Contender[] {
  return [nginx(), haproxy(), sluice("bun"), sluice("node"), sluice("deno"), direct()]
}
