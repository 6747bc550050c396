// Where limits are counted that several gateways share, after validation.

import type { Address, ServiceTlsConfig } from "./address-model.ts"

/** A text, or the name of the environment variable it is in. */
export type Credential = string | { readonly env: string }

export interface RedisConfig {
  readonly address: Address
  readonly database: number
  /** Null: none. */
  readonly username: Credential | null
  readonly password: Credential | null
  /** Null: no TLS. */
  readonly tls: ServiceTlsConfig | null
}

/** What becomes of a request nobody can be asked about. `local`: it is held to this gateway's share of the limit. */
export type StoreFailureAction = "allow" | "deny" | "local"

export interface RateLimitStoreConfig {
  readonly redis: RedisConfig
  /** Default local. */
  readonly onFailure: StoreFailureAction
  /** ms a request waits for it at most; default 50. */
  readonly timeout: number
  /** Gateways that share it: a limit's share of one is what `local` holds to, and leases are divided by it. Default 1. */
  readonly replicas: number
  /** Share (0–1) of a limit's burst that may be granted ahead, over all gateways; 0 = every request is asked about. Default 0.1. */
  readonly lease: number
  /** In front of the names of everything kept there; default `sluice:`. */
  readonly prefix: string
}

/** A service that decides on limits with `scope: service`, by Envoy's protocol. */
export interface RateLimitServiceConfig {
  /** Name in `services`. */
  readonly service: string
  readonly domain: string
  /** Default allow. */
  readonly onFailure: "allow" | "deny"
  /** ms a request waits for it at most; default 20. */
  readonly timeout: number
}
