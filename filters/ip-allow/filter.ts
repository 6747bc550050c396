// ip-allow: only clients whose address lies in the right ranges get through. What is refused by `deny` stays refused, whatever
// `allow` says; a client whose address isn't known is refused.
import { CidrSet, Config, Reply, Request } from "sluice/sdk"

let allow = new CidrSet()
let deny = new CidrSet()
/** Whether there is an `allow` list; without one everybody is allowed who isn't denied. */
let closed = true
let status = 403
let message = ""

export function configure(config: Config): void {
  config.allowOnly(["allow", "deny", "status", "message"])
  closed = config.has("allow")
  allow = config.cidrs("allow")
  deny = config.cidrs("deny")
  status = config.int("status", 403, 400, 499)
  message = config.string("message", "your address may not use this\n")
  if (closed && allow.length == 0) config.fail('"allow" is empty, so nobody would get through; name a range, or remove the key')
  if (!closed && deny.length == 0) config.fail('name ranges in "allow", in "deny", or in both')
}

export function onRequest(request: Request): Reply | null {
  const address = request.peer.address
  if (address.length > 0 && !deny.contains(address) && (!closed || allow.contains(address))) return null
  const reply = new Reply(status, message)
  reply.details = "address_refused"
  return reply
}
