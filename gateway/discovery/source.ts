// One service's endpoints as they are known now, and what keeps them up to date.

import type { EndpointConfig } from "../config/model.ts"

/** How a look ended, as metrics name it. `invalid`: a file that can't be used. */
export const lookResults = ["ok", "empty", "unknown", "failed", "timeout", "invalid"] as const
export type LookKind = (typeof lookResults)[number]

/** What a source is told to tell. */
export interface SourceOwner {
  /** A look has ended. `changed`: {@link EndpointSource.endpoints} are others than before. */
  onLooked(source: EndpointSource, result: LookKind, changed: boolean): void
}

export interface EndpointSource {
  readonly service: string
  /** In one order, so that the same ones are the same list. */
  readonly endpoints: readonly EndpointConfig[]
  /** Why the newest look found nothing that could be used; "" when it did. */
  readonly problem: string
  /** Settles with the end of the first look. */
  readonly first: Promise<void>
  close(): void
}

/** Endpoints of one service; those beyond are left out. */
export const MAX_ENDPOINTS = 1024

/** Each endpoint once, in one order. */
export function inOrder(endpoints: readonly EndpointConfig[]): readonly EndpointConfig[] {
  const byText = new Map<string, EndpointConfig>()
  for (const endpoint of endpoints) byText.set(keyOf(endpoint), endpoint)
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint)
}

/** Whether two lists, both in order, say the same. */
export function sameEndpoints(a: readonly EndpointConfig[], b: readonly EndpointConfig[]): boolean {
  return a === b || (a.length === b.length && JSON.stringify(a) === JSON.stringify(b))
}

function keyOf({ address }: EndpointConfig): string {
  return `${address.host} ${address.port}`
}
