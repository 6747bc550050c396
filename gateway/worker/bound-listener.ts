// A listener in its place in a worker, whatever it carries: what it serves by is changed without touching its connections.

import type { AutoListenerConfig, ListenerConfig } from "../config/model.ts"
import { AutoListener } from "../listener/auto-listener.ts"
import { Listener, type ListenerMeans } from "../listener/listener.ts"
import { TcpListener } from "../listener/tcp-listener.ts"
import { Exchanges } from "../proxy/exchange.ts"
import type { Plane } from "../proxy/plane.ts"
import type { TcpPlane } from "../proxy/tcp-plane.ts"
import { TcpSessions } from "../proxy/tcp-sessions.ts"
import type { Snapshot } from "../snapshot.ts"

export interface Bound {
  readonly listener: Listener | TcpListener | AutoListener
  /** `protocol host port`: a listener of which one changed is another one. */
  readonly address: string
  /** Serves by what `snapshot` says of it from now on. */
  update(snapshot: Snapshot): void
  /** The plane it serves by, if it carries requests. */
  plane(): Plane | null
}

/** The listener of `config`, not listening yet. `snapshot`: what it serves by at first. */
export function bindListener(config: ListenerConfig, port: number, snapshot: Snapshot, means: ListenerMeans): Bound {
  const address = addressOf(config, port)
  const plane = snapshot.planes.get(config.name)
  const tcpPlane = snapshot.tcpPlanes.get(config.name)
  if (config.protocol === "auto") return bindAuto(config, address, plane as Plane, tcpPlane as TcpPlane, means)
  return tcpPlane === undefined ? bindHttp(address, plane as Plane, means) : bindTcp(address, tcpPlane, means)
}

function bindHttp(address: string, plane: Plane, means: ListenerMeans): Bound {
  const exchanges = new Exchanges(plane)
  const listener = new Listener(plane.config, plane.listenerSlots, exchanges, means, plane.tls)
  return {
    listener,
    address,
    update: (snapshot) => {
      const next = snapshot.planes.get(listener.name) as Plane
      exchanges.plane = next
      listener.take(next.config, next.listenerSlots, next.tls)
    },
    plane: () => exchanges.plane,
  }
}

function bindAuto(config: AutoListenerConfig, address: string, plane: Plane, tcpPlane: TcpPlane, means: ListenerMeans): Bound {
  const exchanges = new Exchanges(plane)
  const sessions = new TcpSessions(tcpPlane)
  const listener = new AutoListener(config, plane.listenerSlots, exchanges, sessions, means, plane.tls)
  return {
    listener,
    address,
    update: (snapshot) => {
      exchanges.plane = snapshot.planes.get(listener.name) as Plane
      sessions.plane = snapshot.tcpPlanes.get(listener.name) as TcpPlane
      const next = snapshot.config.listeners.find(({ name }) => name === listener.name) as AutoListenerConfig
      listener.take(next, exchanges.plane.listenerSlots, exchanges.plane.tls)
    },
    plane: () => exchanges.plane,
  }
}

function bindTcp(address: string, plane: TcpPlane, means: ListenerMeans): Bound {
  const sessions = new TcpSessions(plane)
  const listener = new TcpListener(plane.config, plane.listenerSlots, sessions, means, plane.tls)
  return {
    listener,
    address,
    update: (snapshot) => {
      const next = snapshot.tcpPlanes.get(listener.name) as TcpPlane
      sessions.plane = next
      listener.take(next.config, next.listenerSlots, next.tls)
    },
    plane: () => null,
  }
}

/** Of a listener on this port. One of which that changes is another one. */
export function addressOf({ protocol, address }: ListenerConfig, port: number): string {
  return `${protocol} ${address.host} ${port}`
}
