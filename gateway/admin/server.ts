// Binds the admin API to its address.

import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { createAdaptorServer } from "@hono/node-server"
import type { Hono } from "hono"
import type { Address } from "../config/model.ts"
import type { Logger } from "../telemetry/log.ts"
import { isLoopback } from "./guard.ts"

export interface AdminServer {
  /** The port it is bound to, also when 0 was asked for. */
  readonly port: number
  /** Stops listening; requests in progress get a second to end. */
  close(): Promise<void>
}

const CLOSE_GRACE = 1000

/** Serves the admin API; rejects with a readable error when the address can't be bound. */
export function serveAdmin(app: Hono, address: Address, log: Logger): Promise<AdminServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    // Requests have no bodies worth waiting for.
    serverOptions: { headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 30_000, maxHeaderSize: 16_384 },
  }) as Server
  server.maxConnections = 256
  return new Promise((resolve, reject) => {
    const failed = (error: Error & { code?: string }): void => {
      const why = error.code === "EADDRINUSE" ? "the address is in use" : error.code === "EACCES" ? "not permitted" : error.message
      reject(
        new Error(`admin: can't listen on ${address.host}:${address.port}: ${why}; change \`admin.address\` or set \`admin: null\``, {
          cause: error,
        }),
      )
    }
    server.once("error", failed)
    server.listen(address.port, address.host, () => {
      server.removeListener("error", failed)
      server.on("error", (error) => log.log("error", "admin server failed", { error }))
      const { port } = server.address() as AddressInfo
      if (!isLoopback(address.host)) {
        log.log("warn", "the admin API has no authentication and listens on an address that others can reach", {
          address: address.host,
          port,
        })
      }
      resolve({ port, close: () => close(server) })
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
