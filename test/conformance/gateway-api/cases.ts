// Loads the conformance table (see README.md), and writes a case's configuration as a user would.

import { readFileSync } from "node:fs"

export interface ConformanceListener {
  readonly name: string
  /** The port redirects must reckon with; what the test binds is its own affair. */
  readonly port: number
  readonly scheme: "http" | "https"
}

export interface ConformanceExpectation {
  /** Any one of these. */
  readonly status?: readonly number[]
  /** Deployment that answered: a value of the case's `services`. */
  readonly backend?: string
  /** The request as the backend saw it; `path` with its query. */
  readonly forwarded?: {
    readonly method?: string
    readonly path?: string
    readonly host?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly absentHeaders?: readonly string[]
  }
  readonly response?: { readonly headers?: Readonly<Record<string, string>>; readonly absentHeaders?: readonly string[] }
  readonly redirect?: {
    readonly scheme?: string
    readonly host?: string
    readonly path?: string
    /** Any one of these; null = no port. */
    readonly port?: readonly (string | null)[]
  }
  /** Part of the requests each service gets, give or take {@link shareTolerance}; one with 0 gets none. */
  readonly shares?: Readonly<Record<string, number>>
  readonly shareTolerance?: number
  /** This header reaches the backend with one value, a prefix of that backend's name. */
  readonly forwardedHeaderNamesBackend?: string
  /** Upgraded to WebSocket, frames come back. */
  readonly echo?: boolean
}

export interface ConformanceRequest {
  readonly id: string
  readonly listener: string
  readonly method: string
  /** With query. */
  readonly path: string
  /** Absent: the address that was dialled. */
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Response headers the backend sets. */
  readonly backendHeaders?: Readonly<Record<string, string>>
  /** Times it is sent; default 1. */
  readonly count?: number
  /** Can't be judged without a running gateway, because of this. */
  readonly needsGateway?: string
  readonly expect: ConformanceExpectation
}

export interface ConformanceCase {
  readonly name: string
  readonly description: string
  /** A feature every implementation must have. */
  readonly core: boolean
  readonly listeners: readonly ConformanceListener[]
  /** Service → deployment behind it. */
  readonly services: Readonly<Record<string, string>>
  /** Routes in the form users write them. */
  readonly routes: readonly Readonly<Record<string, unknown>>[]
  readonly requests: readonly ConformanceRequest[]
}

export interface ConformanceTable {
  readonly cases: readonly ConformanceCase[]
  readonly excluded: readonly { readonly name: string; readonly requests: number; readonly reason: string }[]
}

/** Reads the table. */
export function loadTable(): ConformanceTable {
  return JSON.parse(readFileSync(new URL("./cases.json", import.meta.url), "utf8")) as ConformanceTable
}

/**
 * A case as a configuration document. `listenAt` gives the `host:port` a listener binds, `endpointOf` the one a deployment
 * answers at. Listeners are plain HTTP here, whatever their scheme.
 */
export function documentOf(
  conformance: ConformanceCase,
  listenAt: (listener: ConformanceListener) => string,
  endpointOf: (deployment: string) => string,
): Record<string, unknown> {
  return {
    admin: false,
    listeners: conformance.listeners.map((listener) => ({ name: listener.name, address: listenAt(listener) })),
    services: Object.fromEntries(
      Object.entries(conformance.services).map(([service, deployment]) => [service, { endpoints: [endpointOf(deployment)] }]),
    ),
    routes: conformance.routes,
  }
}
