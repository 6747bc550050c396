// Serves a fetch handler at an address or at a socket in the file system, over TLS or not: Bun by its own server where that tells of
// the peer what is to be known, all else through node:http.

import { constants } from "node:crypto"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"

/** `peer`: the other end of its connection. */
export type FetchHandler = (request: Request, peer: FetchPeer) => Response | Promise<Response>

export interface FetchPeer {
  /** IP address; "" where there is none, or it isn't known. */
  readonly address: string
  /** DER of the certificate it has proven to be the owner of, good by the authorities; empty where the runtime doesn't show it. Null: none. */
  readonly certificate: Uint8Array | null
}

export type FetchAddress = { readonly host: string; readonly port: number } | { readonly socket: string }

/** PEM. */
export interface FetchTls {
  readonly cert: string
  readonly key: string
  /** Clients are asked for a certificate of these authorities, and may have none; "" = they aren't asked. */
  readonly clientCa: string
}

export interface FetchServer {
  /** The port it is bound to, also when 0 was asked for; 0: it is bound to a socket. */
  readonly port: number
  /** Stops listening; requests in progress get a second to end. */
  close(): Promise<void>
}

export interface FetchOptions {
  readonly fetch: FetchHandler
  readonly at: FetchAddress
  readonly tls: FetchTls | null
  onError(error: Error): void
}

interface BunServer {
  readonly port: number | undefined
  stop(closeActiveConnections?: boolean): Promise<void>
  requestIP(request: Request): { readonly address: string } | null
}

interface BunServeOptions {
  fetch(request: Request, server: BunServer): Response | Promise<Response>
  readonly hostname?: string
  readonly port?: number
  readonly unix?: string
  readonly idleTimeout: number
  readonly maxRequestBodySize: number
}

interface BunRuntime {
  serve(options: BunServeOptions): BunServer
}

const CLOSE_GRACE = 1000
/** Seconds. */
const IDLE_TIMEOUT = 30
/** Seconds: Bun counts those in which an answer is made. */
const BUN_IDLE_TIMEOUT = 150
const MAX_CONNECTIONS = 256

/** Rejects with the system's error, which has a `code`. */
export function serveFetch(options: FetchOptions): Promise<FetchServer> {
  const bun = (globalThis as { Bun?: BunRuntime }).Bun
  // Bun's own server doesn't tell whether a client has shown a certificate.
  return bun === undefined || options.tls !== null ? serveByNode(options) : serveByBun(bun, options)
}

// Saves the memory that node:http takes.
async function serveByBun(bun: BunRuntime, { fetch, at }: FetchOptions): Promise<FetchServer> {
  const server = bun.serve({
    fetch: (request, serving) => fetch(request, { address: serving.requestIP(request)?.address ?? "", certificate: null }),
    ...("socket" in at ? { unix: at.socket } : { hostname: at.host, port: at.port }),
    idleTimeout: BUN_IDLE_TIMEOUT,
    maxRequestBodySize: 16 * 1024 * 1024,
  })
  return {
    port: server.port ?? 0,
    close: async () => {
      const timer = setTimeout(() => void server.stop(true), CLOSE_GRACE)
      await server.stop(false)
      clearTimeout(timer)
    },
  }
}

async function serveByNode({ fetch, at, tls, onError }: FetchOptions): Promise<FetchServer> {
  const { createAdaptorServer } = await import("@hono/node-server")
  // A whole request may be a module of 16 MiB over a slow line.
  const limits = { headersTimeout: 10_000, requestTimeout: 120_000, keepAliveTimeout: IDLE_TIMEOUT * 1000, maxHeaderSize: 16_384 }
  const handler = {
    fetch: (request: Request, { incoming }: { incoming: { socket: unknown } }) =>
      fetch(request, peerOf(incoming.socket as TLSSocket | null)),
    overrideGlobalObjects: false,
  } as const
  const server = (
    tls === null
      ? createAdaptorServer({ ...handler, serverOptions: limits })
      : createAdaptorServer({
          ...handler,
          createServer: (await import("node:https")).createServer,
          serverOptions: {
            ...limits,
            key: tls.key,
            cert: tls.cert,
            ...(tls.clientCa === "" ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }),
            minVersion: "TLSv1.2",
            handshakeTimeout: 10_000,
            // Who has shown a certificate once is asked again: runtimes differ in what a session proves.
            secureOptions: constants.SSL_OP_NO_TICKET,
          },
        })
  ) as Server
  server.maxConnections = MAX_CONNECTIONS
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    const listening = (): void => {
      server.removeListener("error", reject)
      server.on("error", onError)
      resolve({ port: "socket" in at ? 0 : (server.address() as AddressInfo).port, close: () => close(server) })
    }
    if ("socket" in at) server.listen(at.socket, listening)
    else server.listen(at.port, at.host, listening)
  })
}

function peerOf(socket: TLSSocket | null): FetchPeer {
  // It may be gone already.
  const address = socket?.remoteAddress ?? ""
  if (socket?.authorized !== true) return { address, certificate: null }
  const { raw } = (socket.getPeerCertificate?.() ?? {}) as { raw?: Uint8Array }
  return { address, certificate: raw ?? new Uint8Array() }
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
