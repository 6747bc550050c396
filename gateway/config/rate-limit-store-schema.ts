// What users write about where limits are decided that several gateways share: a Redis, or a rate-limit service that speaks
// Envoy's protocol; as zod schemas, and what becomes of them.

import type * as z from "zod"
import type { ServiceTlsConfig } from "./model.ts"
import type { Credential, RateLimitStoreConfig, RedisConfig } from "./rate-limit-store-model.ts"
import { checked, choice, duration, either, integer, name, object, parsed, percent, string } from "./schema-kit.ts"
import { serviceTls } from "./tls-schema.ts"
import { parseAddress, quote, Wrong } from "./units.ts"

const EXAMPLE = "redis://127.0.0.1:6379/0"
const MAX_DATABASE = 65_535

export interface ParsedUrl extends Pick<RedisConfig, "address" | "database" | "username" | "password"> {
  readonly secure: boolean
}

/** What is wrong with it never shows it: it may hold a password. */
function parseRedisUrl(text: string): ParsedUrl | Wrong {
  const wrong = new Wrong(`is not the address of a Redis; write ${EXAMPLE}, or rediss:// for TLS`)
  if (!/^rediss?:\/\/[^\s/?#]+(?:\/[^\s?#]*)?$/.test(text)) return wrong
  const secure = text.startsWith("rediss:")
  // As `http`, whose rules for hosts and escapes are the same everywhere.
  const web = text.replace(/^rediss?:/, "http:")
  if (!URL.canParse(web)) return wrong
  const url = new URL(web)
  const database = url.pathname === "/" ? 0 : /^\/\d{1,5}$/.test(url.pathname) ? Number(url.pathname.slice(1)) : -1
  if (database < 0 || database > MAX_DATABASE)
    return new Wrong(`names no database; write its number behind the address, such as ${EXAMPLE}`)
  // Port 80 would vanish as that of http.
  const port = /:(\d+)(?:\/|$)/.exec(text.slice(text.lastIndexOf("@") + 1))?.[1] ?? "6379"
  const address = parseAddress(`${url.hostname}:${port}`, 1)
  if (address instanceof Wrong) return address
  const username = decoded(url.username)
  const password = decoded(url.password)
  if (username === null || password === null) return new Wrong("has a broken % escape; write %25 for a percent sign")
  return { secure, address, database, username: username === "" ? null : username, password: password === "" ? null : password }
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

const url = parsed("an address", EXAMPLE, parseRedisUrl)

const variable = checked("the name of an environment variable", "the name of an environment variable, such as REDIS_PASSWORD", (text) =>
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(text)
    ? undefined
    : new Wrong(`${quote(text)} can't name an environment variable; write one such as REDIS_PASSWORD`),
)

const credential = (what: string): z.ZodType<Credential> =>
  either(
    [
      string("a text", what)
        .min(1, { error: `is empty; write ${what}, or leave it out` })
        .max(1024, { error: "is longer than 1024 characters" }),
      object({ env: variable.describe("Name of the environment variable it is in.") }, "{ env: REDIS_PASSWORD }"),
    ],
    "a text or an object",
    `${what}, or { env: REDIS_PASSWORD }`,
  )

const redis = either(
  [
    url,
    object(
      {
        url: url.describe(`redis://host:port/database, or rediss:// for TLS. Port 6379 and database 0 may be left out.`),
        username: credential("a user name").optional().describe("User (ACL); a text, or { env: NAME } of an environment variable."),
        password: credential("a password").optional().describe("Its password; better { env: NAME } than a text."),
        tls: serviceTls
          .optional()
          .describe("With rediss://: what its certificate must be. Default: one for its host, from the system's authorities."),
      },
      `{ url: ${EXAMPLE}, password: { env: REDIS_PASSWORD } }`,
    ),
  ],
  "a text or an object",
  `${EXAMPLE}, or { url: ${EXAMPLE}, password: { env: REDIS_PASSWORD } }`,
)

export const rateLimitStore = object(
  {
    redis: redis.describe("The Redis in which limits with scope: global are counted."),
    onFailure: choice(["allow", "deny", "local"])
      .default("local")
      .describe(
        "While it can't be asked: allow = requests pass; deny = they are refused with 503; local = they are held to the limit's share of this gateway. Default local.",
      ),
    timeout: duration()
      .refine((ms) => ms <= 10_000, { error: "is longer than 10s, for which no request should wait; write a shorter one" })
      .default(50)
      .describe("A request waits this long for it at most. Default 50ms."),
    replicas: integer(1, 10_000)
      .default(1)
      .describe("Gateways that share the limits; a gateway's share is a limit divided by it. Default 1."),
    lease: percent()
      .default(0.1)
      .describe(
        "How much of a limit's burst may be granted ahead, over all gateways, so that not every request waits; 0% = every request asks. Default 10%.",
      ),
    prefix: checked("a text", "a prefix, such as sluice:", (text) =>
      /^[\x21-\x7e]{1,128}$/.test(text)
        ? undefined
        : new Wrong(`${quote(text)} can't begin keys; write 1 to 128 characters without spaces`),
    )
      .default("sluice:")
      .describe("How keys in it begin. Gateways that share limits have the same one. Default sluice:."),
  },
  `{ redis: ${EXAMPLE} }`,
)

export const rateLimitService = object(
  {
    service: name("service").describe("The service to ask, in HTTP/2: envoy.service.ratelimit.v3.RateLimitService."),
    domain: string("a text", "a text, such as sluice")
      .min(1, { error: "is empty; write a text, such as sluice" })
      .max(256, { error: "is longer than 256 characters; write a shorter one" })
      .default("sluice")
      .describe("Tells the service whose limits are meant. Default sluice."),
    onFailure: choice(["allow", "deny"])
      .default("allow")
      .describe("While it can't be asked: allow = requests pass; deny = they are refused with 503. Default allow."),
    timeout: duration()
      .refine((ms) => ms <= 10_000, { error: "is longer than 10s, for which no request should wait; write a shorter one" })
      .default(20)
      .describe("A request waits this long for it at most. Default 20ms."),
  },
  "{ service: rls }",
)

export type WrittenRateLimitStore = z.output<typeof rateLimitStore>

/** `tls`: makes of what was written what is used. */
export function buildRateLimitStore(
  { redis, ...rest }: WrittenRateLimitStore,
  tls: (written: z.output<typeof serviceTls> | undefined) => ServiceTlsConfig | null,
): RateLimitStoreConfig {
  const { url, username, password, ...more } = "url" in redis ? redis : { url: redis, username: undefined, password: undefined }
  const { secure, ...address } = url
  return {
    ...rest,
    redis: {
      ...address,
      username: username ?? url.username,
      password: password ?? url.password,
      tls: secure ? tls(("tls" in more ? more.tls : undefined) ?? true) : null,
    },
  }
}
