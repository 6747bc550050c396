// What becomes of a request at a listener that carries connections as they are: it goes where its connection goes.

import type { Config, TcpListenerConfig } from "../config/model.ts"
import { type ErrorCode, errors } from "../errors.ts"
import { ServerNames } from "../router/server-names.ts"
import type { Verdict } from "./explanation.ts"
import { percent } from "./miss-text.ts"

/** `serverName`: that the client asks for, where it speaks TLS; else "". */
export function carriedVerdict(
  { name, protocol, serverNames, backends: others }: TcpListenerConfig,
  services: Config["services"],
  secure: boolean,
  serverName: string,
): Verdict {
  const listener = `listener ${name}, which carries connections as they are`
  if (protocol === "tls" && !secure) return closed("clientHello", `${listener}, expects TLS`)
  const named = new ServerNames(serverNames.map(({ hosts, backends }) => [hosts, backends] as const))
  const own = protocol === "tls" ? named.find(serverName.toLowerCase()) : null
  const backends = (own ?? others).filter(({ weight }) => weight > 0)
  const asked = protocol === "tls" ? ` for ${serverName === "" ? "clients that ask for no name" : serverName}` : ""
  if (backends.length === 0) return closed("noRoute", `${listener}, has no backend${asked}`)
  if (!backends.some(({ service }) => Object.hasOwn(services, service)))
    return closed("noService", `${listener}, names service ${backends[0].service}${asked}, which doesn't exist`)
  const total = backends.reduce((sum, { weight }) => sum + weight, 0)
  const shares = backends.map(({ service, weight }) => (backends.length === 1 ? service : `${service} (${percent(weight / total)})`))
  const text = `its connection would be taken by ${listener}, to service ${shares.join(" or ")}`
  return { ok: true, status: null, grpcStatus: null, code: "", flag: "", text }
}

function closed(code: ErrorCode, why: string): Verdict {
  const { flag } = errors[code]
  return { ok: false, status: null, grpcStatus: null, code, flag, text: `its connection would be closed ${flag}: ${why}` }
}
