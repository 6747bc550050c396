// Serves a fetch handler: Bun by its own server, the others through node:http.

import type { Server } from "node:http"
import type { AddressInfo } from "node:net"

/** `peer`: the other end of its connection. */
export type FetchHandler = (request: Request, peer: FetchPeer) => Response | Promise<Response>

export interface FetchPeer {
  /** IP address; "" where it isn't known. */
  readonly address: string
}

export interface FetchServer {
  /** The port it is bound to, also when 0 was asked for. */
  readonly port: number
  /** Stops listening; requests in progress get a second to end. */
  close(): Promise<void>
}

interface BunServer {
  readonly port: number
  stop(closeActiveConnections?: boolean): Promise<void>
}

interface BunServing extends BunServer {
  requestIP(request: Request): { readonly address: string } | null
}

interface BunRuntime {
  serve(options: {
    fetch(request: Request, server: BunServing): Response | Promise<Response>
    hostname: string
    port: number
    idleTimeout: number
    maxRequestBodySize: number
  }): BunServer
}

const CLOSE_GRACE = 1000
/** Seconds. */
const IDLE_TIMEOUT = 30
/** The same on Bun, which counts the time until an answer as well: of a profile that takes a minute. */
const ANSWER_TIMEOUT = 90

/** Rejects with the system's error, which has a `code`. */
export function serveFetch(fetch: FetchHandler, host: string, port: number, onError: (error: Error) => void): Promise<FetchServer> {
  const bun = (globalThis as { Bun?: BunRuntime }).Bun
  return bun === undefined ? serveByNode(fetch, host, port, onError) : serveByBun(bun, fetch, host, port)
}

// Saves the memory that node:http takes.
async function serveByBun(bun: BunRuntime, fetch: FetchHandler, hostname: string, port: number): Promise<FetchServer> {
  const server = bun.serve({
    fetch: (request, serving) => fetch(request, { address: serving.requestIP(request)?.address ?? "" }),
    hostname,
    port,
    idleTimeout: ANSWER_TIMEOUT,
    maxRequestBodySize: 16 * 1024 * 1024,
  })
  return {
    port: server.port,
    close: async () => {
      const timer = setTimeout(() => void server.stop(true), CLOSE_GRACE)
      await server.stop(false)
      clearTimeout(timer)
    },
  }
}

async function serveByNode(fetch: FetchHandler, host: string, port: number, onError: (error: Error) => void): Promise<FetchServer> {
  const { createAdaptorServer } = await import("@hono/node-server")
  const server = createAdaptorServer({
    fetch: (request, { incoming }) => fetch(request, { address: incoming.socket.remoteAddress ?? "" }),
    overrideGlobalObjects: false,
    // Requests have no bodies worth waiting for.
    serverOptions: { headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: IDLE_TIMEOUT * 1000, maxHeaderSize: 16_384 },
  }) as Server
  server.maxConnections = 256
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.removeListener("error", reject)
      server.on("error", onError)
      resolve({ port: (server.address() as AddressInfo).port, close: () => close(server) })
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}
