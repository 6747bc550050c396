// Which listeners a request would come by: the one it names, or those its URL leads to. One that carries connections is chosen only
// where nothing else can be meant.

import { httpPart } from "../config/listener-parts.ts"
import type { ListenerConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { hostOf } from "../http/authority.ts"
import type { ListenerChoice } from "./explanation.ts"
import type { UrlParts } from "./request-octets.ts"

/** Listeners a request is followed by, where its URL doesn't say which. */
const MAX_FOLLOWED = 4

/** Every listener, and whether the request would come by it. `wanted`: by name; undefined: by the URL. */
export function chooseListeners(
  listeners: readonly ListenerConfig[],
  ports: Readonly<Record<string, number>>,
  url: UrlParts,
  wanted: string | undefined,
): ListenerChoice[] {
  const port = portOf(url)
  const portOfListener = ({ name, address }: ListenerConfig): number => ports[name] ?? address.port
  const fits = (each: ListenerConfig): boolean => httpPart(each) !== null && (url.scheme === "" || speaks(each, url.scheme))
  const atPort = listeners.filter((each) => portOfListener(each) === port)
  const byPort = atPort.filter(fits)
  let followed = 0
  return listeners.map((each) => {
    const shown = { name: each.name, address: formatAddress({ ...each.address, port: portOfListener(each) }), protocol: each.protocol }
    const say = (chosen: boolean, why: string): ListenerChoice => {
      if (chosen) followed++
      return { ...shown, chosen, why }
    }
    if (wanted !== undefined && wanted !== each.name) return say(false, "another was asked for")
    if (wanted !== undefined) return say(true, "it was asked for")
    if (byPort.length === 0 && atPort.includes(each)) {
      return carriesAsIs(each, url) ? say(true, `it has port ${port}`) : say(false, `it has port ${port}, but doesn't speak ${url.scheme}`)
    }
    if (httpPart(each) === null) return say(false, "it carries connections, not requests")
    if (!fits(each)) return say(false, `it doesn't speak ${url.scheme}`)
    if (atPort.length > 0) return byPort.includes(each) ? say(true, `it has port ${port}`) : say(false, `the URL has port ${port}`)
    if (followed >= MAX_FOLLOWED) return say(false, "too many others may be meant: name it")
    // Something in front of the gateway may have the URL's port.
    return say(true, port === 0 ? "the URL names none" : `no listener has port ${port}: requests may be brought to it`)
  })
}

/** It takes the connection of such a request for one that isn't about requests: no TLS ends at it, or none is spoken. */
export function carriesAsIs(listener: ListenerConfig, { scheme }: UrlParts): boolean {
  return httpPart(listener) === null || (listener.protocol === "auto" && listener.tls === null && scheme === "https")
}

/** An `auto` listener ends TLS if it has some, and takes what comes without too. */
function speaks(listener: ListenerConfig, scheme: "http" | "https"): boolean {
  return listener.protocol === "auto" ? scheme === "http" || listener.tls !== null : listener.protocol === scheme
}

function portOf({ scheme, authority }: UrlParts): number {
  if (scheme === "" || hostOf(authority) === null) return 0
  const written = /:(\d+)$/.exec(authority)
  return written === null ? (scheme === "https" ? 443 : 80) : Number(written[1])
}
