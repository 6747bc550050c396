// Where a command finds the gateway's admin API, and what it shows to be let in: from its options, else from the environment.

import { readFileSync } from "node:fs"
import { hostname, userInfo } from "node:os"
import { parseAddress, Wrong } from "../config/units.ts"
import { UsageError, type Values } from "./command.ts"

/** Arguments of every command that talks to it. */
export const adminArgument = {
  admin: {
    type: "string",
    description: "The gateway's admin API: host:port, https://host:port or unix:PATH; default $SLUICE_ADMIN, else 127.0.0.1:9901",
    valueHint: "ADDRESS",
  },
  token: { type: "string", description: "Its token; better $SLUICE_ADMIN_TOKEN, which no list of processes shows", valueHint: "TOKEN" },
  ca: {
    type: "string",
    description: "Authorities its certificate must be from; default $SLUICE_ADMIN_CA, else those of the system",
    valueHint: "FILE",
  },
  cert: { type: "string", description: "Client certificate; default $SLUICE_ADMIN_CERT", valueHint: "FILE" },
  key: { type: "string", description: "Its key; default $SLUICE_ADMIN_KEY", valueHint: "FILE" },
} as const

export interface AdminTarget {
  /** As it was written. */
  readonly shown: string
  readonly socket: string | null
  readonly host: string
  readonly port: number
  /** Null: plain. PEM; undefined = the system's, or none. */
  readonly tls: { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined } | null
  /** "" = none. */
  readonly token: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** Throws a {@link UsageError} for what can't be one. */
export function adminTarget(args: Values, environment: Environment = process.env): AdminTarget {
  const shown = option(args.admin === "default" ? undefined : args.admin) ?? option(environment.SLUICE_ADMIN) ?? "127.0.0.1:9901"
  const token = option(args.token) ?? option(environment.SLUICE_ADMIN_TOKEN) ?? ""
  if (!/^[!-~]*$/.test(token)) throw new UsageError("--token is one line of printable ASCII")
  if (shown.startsWith("unix:")) {
    const socket = shown.slice("unix:".length)
    if (socket === "") throw new UsageError("--admin: unix: needs the path of a socket")
    return { shown, socket, host: "localhost", port: 0, tls: null, token }
  }
  const secure = /^https:\/\//i.test(shown)
  const parsed = parseAddress(shown.replace(/^https?:\/\//i, "").replace(/\/$/, ""), 1)
  if (parsed instanceof Wrong) throw new UsageError(`--admin: ${parsed.message}`)
  const file = (name: "ca" | "cert" | "key"): string | undefined => {
    const path = option(args[name]) ?? option(environment[`SLUICE_ADMIN_${name.toUpperCase()}`])
    return path === undefined ? undefined : read(name, path)
  }
  const tls = secure ? { ca: file("ca"), cert: file("cert"), key: file("key") } : null
  return { shown, socket: null, host: parsed.host, port: parsed.port, tls, token }
}

/** Who gives orders, for the gateway's history. */
export function userName(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    return hostname()
  }
}

function option(value: string | boolean | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined
}

function read(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    throw new UsageError(`--${name}: ${path} can't be read: ${(error as Error).message}`)
  }
}
