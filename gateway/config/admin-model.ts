// The admin API's part of the configuration after validation.

import type { Address } from "./address-model.ts"

/** A socket in the file system; its path is absolute. */
export interface SocketPath {
  readonly socket: string
}

/** Where a secret is. A file's path is absolute. */
export type SecretSource = { readonly env: string } | { readonly file: string }

/** Paths are absolute. */
export interface AdminTlsConfig {
  readonly certificate: string
  readonly key: string
  /** Authorities whose client certificates let somebody in; "" = clients aren't asked for one. */
  readonly clientAuthority: string
}

export interface AdminConfig {
  /** Default 127.0.0.1:9901. */
  readonly address: Address | SocketPath
  /** What lets somebody in who knows it. */
  readonly token?: SecretSource
  readonly tls?: AdminTlsConfig
  /** `/metrics` is for everybody. Default false. */
  readonly openMetrics: boolean
}
