// What a listener does with requests and what it does with connections: one of the two, or both by what a client speaks.

import type { HttpListenerConfig, ListenerConfig, TcpListenerConfig } from "./model.ts"

/** Null: it has no requests. */
export function httpPart(listener: ListenerConfig): HttpListenerConfig | null {
  if (listener.protocol === "auto") return listener.http
  return carriesConnections(listener) ? null : listener
}

/** Null: it carries no connections as they are. */
export function tcpPart(listener: ListenerConfig): TcpListenerConfig | null {
  if (listener.protocol === "auto") return listener.tcp
  return carriesConnections(listener) ? listener : null
}

/** Whether a listener carries connections, not requests. */
export function carriesConnections(listener: ListenerConfig): listener is TcpListenerConfig {
  return listener.protocol === "tcp" || listener.protocol === "tls"
}
