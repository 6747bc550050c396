// Where the endpoints of a service come from when they are not written down, after validation.

import type { Address } from "./address-model.ts"

/** How names are looked up. */
export interface LookupConfig {
  /** Which addresses are used; `any`: IPv4, or IPv6 where a name has no IPv4. Default any. */
  readonly family: "any" | 4 | 6
  /** ms between two looks; 0 = what the answer says (default), a second at least and five minutes at most. */
  readonly refresh: number
  /** ms one look may take, whatever it has to ask; default 5 s. */
  readonly timeout: number
  /** DNS servers, in the order they are asked; empty = the system's. */
  readonly resolvers: readonly Address[]
}

export type DiscoveryConfig =
  /** The addresses of a name, each with this port. */
  | ({ readonly kind: "dns"; readonly address: Address } & LookupConfig)
  /** What SRV records of a name list. */
  | ({ readonly kind: "srv"; readonly name: string } & LookupConfig)
  /** The list in a file, which is watched. An absolute path. */
  | { readonly kind: "file"; readonly path: string }
