// What users write about where endpoints come from, as zod schemas.

import * as z from "zod"
import { parseIp } from "./ip-address.ts"
import type { Address } from "./model.ts"
import { choice, duration, either, list, object, parsed, string } from "./schema-kit.ts"
import { isDnsName, parseAddress, quote, Wrong } from "./units.ts"

/** Where DNS servers listen. */
const DNS_PORT = 53
/** ms; DNS counts in seconds, but who names the time himself may be in more of a hurry. */
const MIN_REFRESH = 100
const DAY = 86_400_000

const resolver = parsed("a text", "the address of a DNS server, such as 10.0.0.2 or 127.0.0.1:5353", (text): Address | Wrong => {
  if (parseIp(text) !== null) return { host: text.toLowerCase(), port: DNS_PORT }
  const address = parseAddress(text, 1)
  if (address instanceof Wrong) return address
  return parseIp(address.host) === null
    ? new Wrong(`${quote(text)} is a name, but a DNS server is what looks names up; write its IP address, such as 10.0.0.2:53`)
    : address
})

const resolvers = list(resolver, "a list, such as [127.0.0.1:5353]")
  .min(1, { error: "is an empty list; write at least one DNS server, or leave it out to use the system's" })
  .max(8, { error: "has more than 8 DNS servers; write fewer" })
  .describe("DNS servers, asked in this order: IP addresses, with a port other than 53 behind a colon. Default: the system's.")

/** For every service that looks names up. */
export const dns = object({ resolvers: resolvers.optional() }, "settings, such as { resolvers: [127.0.0.1:5353] }")

const lookedUp = parsed("a text", "host:port, such as api.internal:9001", (text) => {
  const address = parseAddress(text.replace(/\.(:\d+)$/, "$1"), 1)
  if (address instanceof Wrong || parseIp(address.host) === null) return address
  return new Wrong(`${quote(text)} is an address, which needs no looking up; write it in endpoints`)
})

const srvName = parsed("a text", "the name of SRV records, such as _http._tcp.api.internal", (text) => {
  const name = text.toLowerCase().replace(/\.$/, "")
  if (isDnsName(name) && /^_[^.]+\._[^.]+\.[^.]/.test(name)) return name
  return new Wrong(
    `${quote(text)} can't be the name of SRV records; write _service._protocol.name, such as _http._tcp.api.internal (the port is in the records)`,
  )
})

const ONE_OF = "write { dns: host:port }, { srv: _http._tcp.NAME } or { file: ./endpoints.yaml }"

export const discovery = object(
  {
    dns: lookedUp.optional().describe("host:port: the addresses of this name, each with this port. One of dns, srv and file."),
    srv: srvName.optional().describe("Name of SRV records, such as _http._tcp.api.internal: hosts, ports, weights and priorities."),
    file: string("a path", "the path of a YAML or JSON file")
      .min(1, { error: "is empty; write the path of a YAML or JSON file" })
      .optional()
      .describe("Path of a YAML or JSON file, from this file's folder: a list written as endpoints are. It is watched."),
    refresh: duration()
      .refine((ms) => ms >= MIN_REFRESH && ms <= DAY, { error: "is out of range; write a duration from 100ms to 24h" })
      .optional()
      .describe("dns and srv: between two looks. Default: what the DNS says (TTL), 1s at least and 5m at most."),
    timeout: duration()
      .refine((ms) => ms <= 60_000, { error: "is too long; the longest is 1m" })
      .optional()
      .describe("dns and srv: for one look, all its questions together. Default 5s."),
    family: either([z.literal(4), z.literal(6), choice(["any"])], "any, 4 or 6", "any, 4 or 6")
      .optional()
      .describe("dns and srv: which addresses are used. any: IPv4, or IPv6 where a name has no IPv4. Default any."),
    resolvers: resolvers.optional(),
  },
  "{ dns: host:port }, { srv: _http._tcp.NAME } or { file: ./endpoints.yaml }",
).check((context) => {
  const { dns, srv, file, ...lookup } = context.value
  const given = Object.entries({ dns, srv, file }).flatMap(([key, value]) => (value === undefined ? [] : [key]))
  const issue = (message: string, path: string[] = []): void => {
    context.issues.push({ code: "custom", input: context.value, message, path })
  }
  if (given.length === 0) issue(`has none of dns, srv and file; ${ONE_OF}`)
  else if (given.length > 1) issue(`has ${given.join(" and ")}, but a service has one source; ${ONE_OF}`)
  else if (file !== undefined) {
    for (const [key, value] of Object.entries(lookup))
      if (value !== undefined) issue("belongs to dns and srv, for a file is not looked up; leave it out", [key])
  }
})
