// What is asked of the gateway about a request, and what it answers: plain data, as the admin API gives it.

import type { ErrorCode } from "../errors.ts"

export interface ExplainRequest {
  readonly method: string
  /** `http://host:port/path?query`, or a path alone. */
  readonly url: string
  /** As they would be sent, `host` included where it isn't the URL's. */
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined
  /** The listener it comes by; without it the one the URL leads to. */
  readonly listener?: string | undefined
  /** Address of whoever sends it; default 127.0.0.1. */
  readonly source?: string | undefined
  /** Who sends it, by its certificate. */
  readonly identity?: string | undefined
  /** Name asked for in the TLS handshake; default the URL's host. */
  readonly serverName?: string | undefined
  /** Routes that are not taken of which it is said why not; default 10, at most 100. */
  readonly others?: number | undefined
}

export interface Verdict {
  /** It would be forwarded or answered as it is configured. */
  readonly ok: boolean
  /** What the client would get from the gateway; null: what the service answers. */
  readonly status: number | null
  /** The same of gRPC; null: what the service answers, or it is no call. */
  readonly grpcStatus: number | null
  /** Row of errors.ts; "" = none. */
  readonly code: ErrorCode | ""
  /** Response flag; "" = none. */
  readonly flag: string
  /** One sentence, without its first capital and full stop. */
  readonly text: string
}

export interface ListenerChoice {
  readonly name: string
  readonly address: string
  readonly protocol: string
  readonly chosen: boolean
  readonly why: string
}

/** A route that is not taken. */
export interface RouteMiss {
  readonly route: string
  /** The match that comes nearest: host, path and what it asks for beside. */
  readonly match: string
  readonly reason: "shadowed" | "percentage" | "method" | "header" | "cookie" | "query" | "host" | "path" | "listener"
  readonly expected: string
  readonly actual: string | null
  /** Of host, path and the rest, those that don't fit: 1 to 3; 0: it is shadowed. */
  readonly failures: number
  /** The same as a sentence. */
  readonly text: string
}

/** A route that takes a share of such requests. */
export interface RouteOdds {
  /** "" = none does. */
  readonly route: string
  readonly match: string
  /** 0–1. */
  readonly odds: number
}

/** What the request passes on its way, in order. */
export interface FilterStep {
  readonly name: string
  readonly kind: "rate limit" | "fault" | "filter"
  /** Of a filter: `running`, `quarantined` …; "" where it isn't known, or has none. */
  readonly state: string
  readonly text: string
}

export interface BackendOdds {
  readonly service: string
  readonly subset: Readonly<Record<string, string>> | null
  readonly weight: number
  /** 0–1, of requests that don't stay with another. */
  readonly odds: number
  readonly exists: boolean
  readonly chosen: boolean
}

export type ActionExplanation =
  | { readonly kind: "redirect"; readonly status: number; readonly location: string }
  | { readonly kind: "respond"; readonly status: number; readonly bodyOctets: number }
  | { readonly kind: "forward"; readonly backends: readonly BackendOdds[]; readonly why: string }

export interface EndpointExplanation {
  readonly address: string
  readonly service: string
  readonly weight: number
  readonly zone: string
  readonly priority: number
  readonly eligible: boolean
  /** Why it isn't, or isn't at first. */
  readonly reasons: readonly string[]
  /** Of requests without a key about this share (0–1) would go to it, if nothing else were under way; null: it depends on the key. */
  readonly share: number | null
}

export interface ServiceExplanation {
  readonly name: string
  readonly policy: string
  /** What its requests are hashed by, and whether this one has it; null: nothing. */
  readonly key: { readonly by: string; readonly found: boolean } | null
  /** In the order in which attempts of this request take them, where its key says so; else empty. */
  readonly order: readonly string[]
  readonly endpoints: readonly EndpointExplanation[]
  /** Endpoints beyond those that are listed. */
  readonly left: number
  readonly underWay: { readonly requests: number; readonly maxRequests: number }
  readonly failover: string | null
}

export interface HeaderEditsShown {
  readonly remove: readonly string[]
  readonly set: readonly (readonly [string, string])[]
  readonly add: readonly (readonly [string, string])[]
}

/** The request as it leaves. */
export interface SentRequest {
  readonly method: string
  /** "" = the address of the endpoint. */
  readonly authority: string
  /** With its query. */
  readonly path: string
  readonly protocol: string
  readonly tls: boolean
  /** Values that authenticate are hidden. */
  readonly headers: readonly (readonly [string, string])[]
  /** What route and backend change of it, and of the response. */
  readonly edits: { readonly request: readonly HeaderEditsShown[]; readonly response: readonly HeaderEditsShown[] }
}

export interface SettingsExplanation {
  /** ms; 0 = none. */
  readonly timeout: { readonly request: number; readonly perTry: number; readonly idle: number }
  /** Null: only what reached no service is sent again. */
  readonly retry: { readonly attempts: number; readonly on: readonly (string | number)[] } | null
  readonly hedge: { readonly after: number; readonly percentile: number } | null
  readonly priority: string
  /** Share (0–1) of such requests refused now, for the gateway has too much to do. */
  readonly shed: number
  readonly mirrors: readonly { readonly service: string; readonly share: number }[]
  readonly grpc: boolean
  readonly upgrade: string
}

/** What becomes of the request at one listener. */
export interface Outcome {
  readonly listener: string
  readonly verdict: Verdict
  readonly host: string
  /** `normal` null: it is refused, and `why` says for what. */
  readonly path: {
    readonly asked: string
    readonly normal: string | null
    readonly changes: readonly string[]
    readonly why: string
  } | null
  readonly route: { readonly name: string; readonly match: string; readonly text: string } | null
  /** Those that may take it instead, where matches take a percentage. */
  readonly odds: readonly RouteOdds[]
  readonly others: readonly RouteMiss[]
  /** Routes beyond those that are listed. */
  readonly othersLeft: number
  readonly settings: SettingsExplanation | null
  readonly filters: readonly FilterStep[]
  readonly action: ActionExplanation | null
  readonly service: ServiceExplanation | null
  readonly sent: SentRequest | null
  /** What an operator should know beside. */
  readonly notes: readonly string[]
}

export interface Explanation {
  /** Generation of the configuration; 0: of a file that isn't in force. */
  readonly generation: number
  readonly method: string
  readonly url: string
  /** Of the first outcome. */
  readonly verdict: Verdict
  readonly listeners: readonly ListenerChoice[]
  /** One for each listener that it may come by. */
  readonly outcomes: readonly Outcome[]
}
