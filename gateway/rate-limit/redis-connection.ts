// Connects to Redis as the configuration says, and sees that the script can run there before anybody counts on it. The client is
// loaded when the first limit needs it.

import { connect, type Socket } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import type { RedisOptions } from "ioredis"
import type { Credential, RedisConfig } from "../config/rate-limit-store-model.ts"
import type { ClientTls } from "../tls/client-context.ts"
import { countKey, GCRA_SCRIPT } from "./gcra-script.ts"
import type { ConnectStore, StoreConnection } from "./store-link.ts"

/** ms for TCP and TLS. */
const CONNECT_TIMEOUT = 1500
/** ms for what is asked before the connection can be used: one that is never answered must not stay. */
const GREETING_TIMEOUT = 1500

type Script = (key: string, interval: number, tolerance: number, wanted: number, returned: number) => Promise<unknown>

/** `environment`: where user names and passwords are that the configuration only names. `tls`: null = none. */
export function redisConnector(config: RedisConfig, tls: ClientTls | null, prefix: string, environment: NodeJS.ProcessEnv): ConnectStore {
  return async (lost) => {
    const { Redis } = await import("ioredis")
    const socket = await openSocket(config, tls)
    let reason = "the connection was closed"
    let usable = false
    socket.on("error", (error: Error & { code?: string }) => {
      reason = error.code ?? error.message
    })
    const handOver = class {
      connect(): Promise<Socket> {
        return Promise.resolve(socket)
      }
      check(): boolean {
        return true
      }
      disconnect(): void {
        socket.destroy()
      }
    }
    const client = new Redis({
      Connector: handOver as unknown as NonNullable<RedisOptions["Connector"]>,
      db: config.database,
      username: credential(config.username, environment),
      password: credential(config.password, environment),
      connectionName: "sluice",
      protocol: 2,
      lazyConnect: true,
      // What happens to a connection, and when the next is tried, is the link's to decide.
      retryStrategy: () => null,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      disableClientInfo: true,
      scripts: { sluiceCount: { lua: GCRA_SCRIPT, numberOfKeys: 1 } },
    })
    client.on("error", (error: Error) => {
      if (error.message !== "") reason = error.message
    })
    client.on("close", () => {
      if (usable) lost(reason)
    })
    const count = (client as unknown as { sluiceCount: Script }).sluiceCount.bind(client)
    const connection: StoreConnection = { count, close: () => client.disconnect() }
    const timer = setTimeout(() => {
      reason = `it did not answer within ${GREETING_TIMEOUT} ms`
      socket.destroy()
    }, GREETING_TIMEOUT)
    try {
      await client.connect()
      // A replica, a user without the rights, a server that is still loading show here.
      await count(countKey(prefix, "sluice-probe", []), 1000, 1000, 1, 0)
    } catch (error) {
      client.disconnect()
      throw new Error(/closed|isn't writeable/i.test((error as Error).message) ? reason : (error as Error).message)
    } finally {
      clearTimeout(timer)
    }
    usable = true
    return connection
  }
}

function credential(given: Credential | null, environment: NodeJS.ProcessEnv): string | undefined {
  if (given === null) return undefined
  return typeof given === "string" ? given : environment[given.env]
}

function openSocket({ address }: RedisConfig, tls: ClientTls | null): Promise<Socket> {
  const { host, port } = address
  return new Promise((resolve, reject) => {
    const where = { host, port, noDelay: true }
    const socket = tls === null ? connect(where) : connectTls({ ...tls.connectOptions(host, []), ...where })
    const fail = (reason: string): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(new Error(reason))
    }
    const timer = setTimeout(() => fail(`no connection within ${CONNECT_TIMEOUT} ms`), CONNECT_TIMEOUT)
    socket.on("error", (error: Error & { code?: string }) => fail(error.code ?? error.message))
    socket.on("close", () => fail("the connection was closed"))
    socket.once(tls === null ? "connect" : "secureConnect", () => {
      const refused = tls === null ? "" : tls.verify(socket as TLSSocket, host)
      if (refused !== "") return fail(refused)
      clearTimeout(timer)
      resolve(socket)
    })
  })
}
