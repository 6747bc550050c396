// Binds the admin API to its address: reads the token and the certificate it is served with, and says what is in the way.

import type { AdminConfig } from "../config/admin-model.ts"
import { readAuthorities, readCertificatePair } from "../config/certificate-files.ts"
import { formatAddress, Wrong } from "../config/units.ts"
import { type FetchServer, type FetchTls, serveFetch } from "../runtime/serve.ts"
import type { Logger } from "../telemetry/log.ts"
import { createAdmin } from "./admin.ts"
import type { AdminDeps } from "./app.ts"
import { readToken } from "./secret.ts"
import { SocketPlace } from "./socket-file.ts"

export interface AdminServer extends FetchServer {
  /** Where it listens, as people write it. */
  readonly address: string
  /** The same, and where a browser finds the dashboard, for the log. No browser comes by a socket. */
  readonly places: Readonly<Record<string, string>>
}

/** Serves the admin API; rejects with a readable error when that can't be. */
export async function serveAdmin(
  deps: AdminDeps,
  config: AdminConfig,
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
): Promise<AdminServer> {
  const { address } = config
  const token = config.token === undefined ? null : readToken(config.token, environment)
  const tls = config.tls === undefined ? null : readTls(config.tls)
  const door = createAdmin(deps, config, token)
  let place: SocketPlace | null = null
  let server: FetchServer | null = null
  try {
    if ("socket" in address) place = await SocketPlace.claim(address.socket)
    server = await serveFetch({
      fetch: (request, peer) => door.fetch(request, peer),
      at: "socket" in address ? { socket: place?.temporary ?? address.socket } : address,
      tls,
      onError: (error) => log.log("error", "admin server failed", { error }),
    })
    await place?.settle()
    const { port, close: closeServer } = server
    const close = async (): Promise<void> => {
      await closeServer()
      place?.leave()
    }
    const at = shown(config, port)
    const page: Record<string, string> = "socket" in address ? {} : { dashboard: `${tls === null ? "http" : "https"}://${at}/dashboard` }
    return { port, address: at, places: { address: at, ...page }, close }
  } catch (error) {
    // It may listen, at a place where nobody finds it.
    await server?.close()
    place?.leave()
    const { code, message } = error as Error & { code?: string }
    const why = code === "EADDRINUSE" ? "the address is in use" : code === "EACCES" ? "not permitted" : message
    throw new Error(
      `admin: can't listen on ${shown(config, "port" in address ? address.port : 0)}: ${why}; change \`admin.address\` or set \`admin: false\``,
      { cause: error },
    )
  }
}

function shown({ address }: AdminConfig, port: number): string {
  return "socket" in address ? `unix:${address.socket}` : formatAddress({ host: address.host, port })
}

// It was looked at when the configuration was read; files may have changed since.
function readTls({ certificate, key, clientAuthority }: NonNullable<AdminConfig["tls"]>): FetchTls {
  const pair = readCertificatePair(certificate, key)
  if ("at" in pair) throw new Error(`admin.tls: ${pair.message}`)
  const clientCa = clientAuthority === "" ? "" : readAuthorities(clientAuthority)
  if (clientCa instanceof Wrong) throw new Error(`admin.tls: ${clientCa.message}`)
  return { cert: pair.cert, key: pair.key, clientCa }
}
