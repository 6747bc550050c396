// Where something listens or is connected to, and the TLS put on for it: what several parts of the configuration have.

/** A TCP address to listen on or connect to. `host` is an IP address or a DNS name, without brackets. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** TLS as it is spoken to a service. Paths are absolute. */
export interface ServiceTlsConfig {
  /** Authorities of its certificate; "" = the system's. */
  readonly ca: string
  /** Shown to it; "" = none. Both or neither. */
  readonly cert: string
  readonly key: string
  /** "" = the endpoint's host. */
  readonly serverName: string
  /** SPIFFE ID its certificate must have; "" = its name is looked for instead. */
  readonly identity: string
  readonly insecureSkipVerify: boolean
  readonly minVersion: "1.2" | "1.3"
}
