// What users write about connections before anything in them is looked at: whose addresses are believed, and where names lead.

import type * as z from "zod"
import { formatIpRange, parseIpRange } from "./ip-address.ts"
import { parseHost } from "./message-parts.ts"
import { tcpBackends } from "./route-schema.ts"
import { choice, duration, either, list, object, parsed } from "./schema-kit.ts"
import { Wrong } from "./units.ts"

const range = parsed("an IP address or a range", "one, such as 10.0.0.0/8", (text) => {
  const found = parseIpRange(text)
  return found instanceof Wrong ? found : formatIpRange(found)
})

export const proxyProtocolSchema = object(
  {
    trusted: either([range, list(range, "a list, such as [10.0.0.0/8]")], "a text or a list", "a list, such as [10.0.0.0/8]")
      .transform((ranges): readonly string[] => (typeof ranges === "string" ? [ranges] : ranges))
      .refine((ranges) => ranges.length > 0, { error: "is an empty list; write at least one address or range, such as 10.0.0.0/8" })
      .refine((ranges) => ranges.length <= 10_000, { error: "has more than 10000 ranges; write fewer, larger ones" })
      .describe("Addresses of the proxies in front: their connections must begin with a PROXY header, others have none."),
    timeout: duration().default(5000).describe("For the header to arrive; over it the connection is closed. Default 5s."),
  },
  "{ trusted: [10.0.0.0/8] }",
)

const host = parsed("a host", "a host, such as db.example.com", (text) => parseHost(text, true))

export const serverNamesSchema = list(
  object(
    {
      hosts: either([host, list(host, 'a list of hosts, such as [db.example.com, "*.example.com"]')], "a text or a list", "a list of hosts")
        .transform((hosts): readonly string[] => (typeof hosts === "string" ? [hosts] : hosts))
        .refine((hosts) => hosts.length > 0, { error: "is an empty list; write at least one host, such as db.example.com" })
        .describe("Names a client may ask for (SNI): exact, or *.suffix, which stands for one or more labels. The longest wins."),
      backends: tcpBackends.describe("Services its connections go to, by weight."),
    },
    "{ hosts: [db.example.com], backends: db }",
  ),
  "a list, such as [{ hosts: [db.example.com], backends: db }]",
)

/** Of a service. */
export const proxyVersion: z.ZodEnum<{ v1: "v1"; v2: "v2" }> = choice(["v1", "v2"])
