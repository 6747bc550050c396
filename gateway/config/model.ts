// The configuration after validation: every default filled in, durations in milliseconds, sizes in octets, short forms
// expanded, references checked. Plain data that survives structured cloning: the main thread hands it to every worker.

import type { AccessLogConfig } from "./access-log-model.ts"
import type { Address, ServiceTlsConfig } from "./address-model.ts"
import type { AdminConfig } from "./admin-model.ts"
import type { LoadBalancingConfig } from "./balancing-model.ts"
import type { DiscoveryConfig } from "./discovery-model.ts"
import type { HealthCheckConfig, OutlierDetectionConfig } from "./health-model.ts"
import type { AdaptiveConcurrencyConfig, AdmissionControlConfig, CircuitBreakerConfig, OverloadConfig } from "./limits-model.ts"
import type { MetricsConfig } from "./metrics-model.ts"
import type { RateLimitConfig } from "./rate-limit-model.ts"
import type { RateLimitServiceConfig, RateLimitStoreConfig } from "./rate-limit-store-model.ts"
import type { RouteConfig, RouteFilterConfig } from "./route-model.ts"
import type { RouteTracingConfig, TracingConfig } from "./tracing-model.ts"

export type { Address, ServiceTlsConfig } from "./address-model.ts"
export type { AdminConfig, SocketPath } from "./admin-model.ts"
export type { MatchConfig, ValueMatch } from "./match-model.ts"
export type {
  BackendConfig,
  HeaderEdits,
  HedgeConfig,
  RedirectConfig,
  RetryCondition,
  RetryConfig,
  RewriteConfig,
  RouteConfig,
  RouteFilterConfig,
} from "./route-model.ts"
export type { DelayConfig, FaultConfig, MirrorConfig, StickyConfig } from "./shaping-model.ts"

export interface Config {
  /** Null: no admin API. */
  readonly admin: AdminConfig | null
  /** Threads that carry traffic; "auto" = one a core. */
  readonly workers: number | "auto"
  readonly log: { readonly level: "trace" | "debug" | "info" | "warn" | "error"; readonly format: "auto" | "human" | "json" }
  /** Default: lines of JSON on standard output for exchanges with a response flag. */
  readonly accessLog: AccessLogConfig
  readonly metrics: MetricsConfig
  /** Undefined: no tracing. */
  readonly tracing?: TracingConfig
  /** At shutdown, ms: all is served as before for `delay` (default 0); then what runs gets `timeout` (default 30 s). */
  readonly drain: { readonly delay: number; readonly timeout: number }
  /** Where the gateway is, as endpoints name it; "" = zones don't matter. */
  readonly zone: string
  /** Null: nothing is refused because the gateway has too much to do. */
  readonly overload: OverloadConfig | null
  /** Where limits with `scope: global` are counted. */
  readonly rateLimitStore?: RateLimitStoreConfig
  /** Who decides on limits with `scope: service`. */
  readonly rateLimitService?: RateLimitServiceConfig
  readonly listeners: readonly ListenerConfig[]
  readonly services: Readonly<Record<string, ServiceConfig>>
  readonly filters: Readonly<Record<string, FilterConfig>>
  readonly routes: readonly RouteConfig[]
}

export type ListenerConfig = HttpListenerConfig | TcpListenerConfig | AutoListenerConfig

/** Whose connections begin with a PROXY header that says where they come from. */
export interface ProxyProtocolConfig {
  /** Ranges of IP addresses, in one spelling; connections from elsewhere have no header. */
  readonly trusted: readonly string[]
  /** ms for the header to arrive; default 5 s. */
  readonly timeout: number
}

/** A service by its name, and its share of connections. */
export interface ConnectionBackendConfig {
  readonly service: string
  readonly weight: number
}

/** Where connections go whose clients ask for one of these names. */
export interface ServerNameConfig {
  /** Lower case, exact or `*.suffix`; never empty. */
  readonly hosts: readonly string[]
  readonly backends: readonly ConnectionBackendConfig[]
}

/** Whether a listener carries connections, not requests. */
export function carriesConnections(listener: ListenerConfig): listener is TcpListenerConfig {
  return listener.protocol === "tcp" || listener.protocol === "tls"
}

/** TLS as a listener speaks it. Paths are absolute. */
export interface ListenerTlsConfig {
  /** Never empty; the first is the default. */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[]
  readonly minVersion: "1.2" | "1.3"
  /** Offered to clients, the best first; empty = none (tls). */
  readonly alpn: readonly ("h2" | "http/1.1")[]
  /** Authorities of client certificates; "" = clients aren't asked for one. */
  readonly clientCa: string
  readonly clientCertificate: "require" | "optional"
  /** Services are told of the client's certificate in `x-forwarded-client-cert`. */
  readonly forwardClientCert: boolean
  /** ms; default 10 s. */
  readonly handshakeTimeout: number
  /** Handshakes at a time in each worker; default 1024. Over it: closed at once. */
  readonly maxHandshakes: number
}

/** A listener whose connections carry requests, which routes take further. */
export interface HttpListenerConfig {
  /** Unique; default `listener-<index>`. */
  readonly name: string
  readonly address: Address
  readonly protocol: "http" | "https"
  /** Of https; null for http. */
  readonly tls: ListenerTlsConfig | null
  /** Null: every connection is its client's own. */
  readonly proxyProtocol: ProxyProtocolConfig | null
  readonly limits: {
    /** Octets of the request line; default 8 KiB. Over it: 414. */
    readonly requestLine: number
    /** Octets of a whole head; default 32 KiB. Over it: 431. */
    readonly head: number
    /** Fields in a head; default 100. Over it: 431. */
    readonly fields: number
    /** Octets of a request body; 0 = no limit (default). Over it: 413. */
    readonly body: number
    /** Requests at once on one HTTP/2 connection; default 100. Over it: refused. */
    readonly streams: number
    /** Open connections, process-wide share per worker; default 65536. Over it: closed at once. */
    readonly connections: number
  }
  readonly timeouts: {
    /** ms for a request head to arrive; default 10 s. */
    readonly head: number
    /** ms a connection may wait for its next request; default 60 s. */
    readonly idle: number
    /**
     * ms a client that has closed its sending side is served while no response has begun; default 1 s. TCP doesn't tell
     * a client that half-closed from one that is gone. 0 = it is taken for gone at once.
     */
    readonly halfClose: number
    /** ms without a byte in an upgraded connection (WebSocket); default 1 h. */
    readonly tunnelIdle: number
  }
  /** Asked before those of routes, in order. */
  readonly rateLimits?: readonly RateLimitConfig[] | undefined
  /** Proxies in front whose `x-forwarded-*` and `x-request-id` are believed; default 0. */
  readonly trustedHops: number
  /** What happens to these spellings in a path: refused with 400, kept as they are, or (slashes only) decoded. */
  readonly path: {
    readonly encodedSlash: "reject" | "keep" | "decode"
    readonly encodedBackslash: "reject" | "keep" | "decode"
    readonly backslash: "reject" | "keep" | "slash"
    readonly nul: "reject" | "keep"
    readonly mergeSlashes: boolean
  }
}

/** A listener whose connections are carried to a service as they are. */
export interface TcpListenerConfig {
  readonly name: string
  readonly address: Address
  /** tls: TLS ends here, or goes on to the service when there are no certificates; its server name chooses the service. */
  readonly protocol: "tcp" | "tls"
  /** Null: tcp, or TLS that is passed through: its ClientHello is read, and goes on with the rest. */
  readonly tls: ListenerTlsConfig | null
  readonly proxyProtocol: ProxyProtocolConfig | null
  /** Of tls; no host appears twice. */
  readonly serverNames: readonly ServerNameConfig[]
  /** Services by weight, for connections that no server name has. May name one that does not exist: its share of connections is closed. */
  readonly backends: readonly ConnectionBackendConfig[]
  readonly filters: readonly RouteFilterConfig[]
  /** Undefined: there is no tracing. */
  readonly tracing?: RouteTracingConfig | undefined
  readonly limits: {
    /** Open connections, process-wide share per worker; default 65536. Over it: closed at once. */
    readonly connections: number
  }
  readonly timeouts: {
    /** ms without an octet in either direction; default 1 h. */
    readonly idle: number
    /** ms for the ClientHello of a tls listener; default 10 s. */
    readonly detect: number
  }
}

/** A listener that finds out what each of its connections speaks. */
export interface AutoListenerConfig {
  readonly name: string
  readonly address: Address
  readonly protocol: "auto"
  /** TLS ends here, and what is in it is looked at in turn; null: it goes on to a service. */
  readonly tls: ListenerTlsConfig | null
  readonly proxyProtocol: ProxyProtocolConfig | null
  readonly limits: { readonly connections: number }
  readonly timeouts: {
    /** ms until a client that has said nothing telling is taken for one of another protocol; default 10 s. */
    readonly detect: number
  }
  /** For connections that carry HTTP requests. */
  readonly http: HttpListenerConfig
  /** For all others: TLS by its server name. */
  readonly tcp: TcpListenerConfig
}

export interface EndpointConfig {
  readonly address: Address
  /** Share among the service's endpoints; 1 by default, 0 = takes no traffic. */
  readonly weight: number
  /** Undefined: not known. */
  readonly zone?: string | undefined
  /** Lower ones are used as long as they can take the traffic; default 0. */
  readonly priority?: number | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

export interface ServiceConfig {
  /** With `discovery`: empty as it is written, and what was found in what the workers are given. */
  readonly endpoints: readonly EndpointConfig[]
  /** Undefined: the endpoints are those that are written down. */
  readonly discovery?: DiscoveryConfig | undefined
  readonly loadBalancing: LoadBalancingConfig
  /** The service that takes requests for which none of its endpoints should be used; never leads back to it. */
  readonly failover?: string | undefined
  /** Version of HTTP it is spoken to in; `auto`: over TLS by ALPN, else HTTP/2 for gRPC and HTTP/1.1 for the rest. Default http1. */
  readonly protocol: "http1" | "h2" | "auto"
  /** Null: no TLS. */
  readonly tls: ServiceTlsConfig | null
  /** Every connection to it begins with a PROXY header of this version; "" = none. Only for connections that are carried as they are. */
  readonly proxyProtocol: "" | "v1" | "v2"
  /** ms; default 5 s. */
  readonly connectTimeout: number
  readonly pool: {
    /** Connections to one endpoint, over all workers; default 1024. */
    readonly maxConnections: number
    /** Requests waiting for a connection to one endpoint, over all workers; default 1024. Over it: 503. */
    readonly maxPending: number
    /** ms an idle connection is kept; default 60 s. */
    readonly idleTimeout: number
    /** ms a connection may live, 0 = no limit; default 0. It ends between two requests. */
    readonly maxAge: number
  }
  readonly limits: {
    /** Octets of a response head; default 64 KiB. */
    readonly head: number
    /** Fields of a response head; default 200. */
    readonly fields: number
  }
  readonly rateLimits?: readonly RateLimitConfig[] | undefined
  /** Undefined: endpoints are not probed. */
  readonly healthCheck?: HealthCheckConfig | undefined
  /** Undefined: endpoints are never ejected. */
  readonly outlierDetection?: OutlierDetectionConfig | undefined
  readonly circuitBreaker: CircuitBreakerConfig
  /** Undefined: off. */
  readonly adaptiveConcurrency?: AdaptiveConcurrencyConfig | undefined
  /** Undefined: off. */
  readonly admissionControl?: AdmissionControlConfig | undefined
}

/** One version of a filter. Every exchange is given to one of them, by their weights. */
export interface FilterVersionConfig {
  /** Unique in the filter; default: `stable` for the first, `canary`, `canary-2` … for the others. */
  readonly name: string
  /** Absolute path of a `.wasm` or `.ts` file, or an http(s) URL. */
  readonly module: string
  /** SHA-256 the module must have, lower-case hex; "" = any. Always given for a URL. */
  readonly sha256: string
  /** Share among the filter's versions; 0 = none. */
  readonly weight: number
  /** Settings laid over the filter's `config` for this version (top-level keys replace); undefined = none. */
  readonly config: unknown
}

/** When a version other than the first is taken out of use by itself. */
export interface FilterRollbackConfig {
  /** Share (0–1) of its exchanges it may fail in, by traps or because no instance could be had. */
  readonly failures: number
  /** How much larger (0–1) than the first version's its share of 5xx responses may be. */
  readonly errors: number
  /** ms that are looked back upon. */
  readonly window: number
  /** Exchanges in the window without which a version is not judged. */
  readonly minimum: number
}

/** What a filter may do; "*" = everything of that kind. */
export interface PermissionsConfig {
  /** Names of services it may call, or choose for a request. */
  readonly services: "*" | readonly string[]
  readonly headers: { readonly read: "*" | readonly string[]; readonly write: "*" | readonly string[] }
  /** Prefixes of shared-data keys and queue names. */
  readonly shared: "*" | readonly string[]
  /** Names of host calls. */
  readonly hostCalls: "*" | readonly string[]
}

export interface FilterConfig {
  /** Never empty; the first is the one others are measured by. */
  readonly versions: readonly FilterVersionConfig[]
  /** Null: never by itself. */
  readonly rollback: FilterRollbackConfig | null
  /** Handed to the filter's `configure`: a text as it is, anything else as JSON; undefined when none is given. */
  readonly config: unknown
  /** Filters of the same module and VM name share instances; it also names their shared data and queues. "" = the module's own. */
  readonly vm: string
  /** Handed to the module when an instance starts, as `config` is; undefined when none is given. */
  readonly vmConfig: unknown
  /** What the module reads as environment variables. */
  readonly env: Readonly<Record<string, string>>
  /** Which of the roots a module registers; "" for modules with one. */
  readonly rootId: string
  readonly onError: "deny" | "skip"
  /** Narrows what the filter's manifest allows it; undefined: as its manifest says. */
  readonly permissions?: PermissionsConfig | undefined
  readonly limits: {
    /** ms of CPU one call into the filter may use; default 5. */
    readonly cpu: number
    /** Octets of its memory; default 16 MiB. */
    readonly memory: number
    /** Octets of one body it may keep back; default 1 MiB. Over it: 413 or 502. */
    readonly body: number
  }
  /** When the route is looked up anew: when it asks for it (default), or after every edit of request headers as well. */
  readonly reroute: "onCall" | "onEdit"
}
