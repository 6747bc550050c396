// What a listener does with requests and what it does with connections: one of the two, or both by what a client speaks.

import { carriesConnections, type HttpListenerConfig, type ListenerConfig, type TcpListenerConfig } from "./model.ts"

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
