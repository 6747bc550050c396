// Binds the admin API to its address.

import type { Address } from "../config/model.ts"
import { type FetchServer, serveFetch } from "../runtime/serve.ts"
import type { Logger } from "../telemetry/log.ts"
import type { Door } from "./door.ts"
import { isLoopback } from "./guard.ts"

export type AdminServer = FetchServer

/** Serves the admin API; rejects with a readable error when the address can't be bound. */
export async function serveAdmin(door: Door, address: Address, log: Logger): Promise<AdminServer> {
  let server: FetchServer
  try {
    server = await serveFetch(
      (request, peer) => door.fetch(request, peer),
      address.host,
      address.port,
      (error) => log.log("error", "admin server failed", { error }),
    )
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    const why = code === "EADDRINUSE" ? "the address is in use" : code === "EACCES" ? "not permitted" : message
    throw new Error(`admin: can't listen on ${address.host}:${address.port}: ${why}; change \`admin.address\` or set \`admin: false\``, {
      cause: error,
    })
  }
  if (!isLoopback(address.host)) {
    log.log("warn", "the admin API has no authentication and listens on an address that others can reach", {
      address: address.host,
      port: server.port,
    })
  }
  return server
}
