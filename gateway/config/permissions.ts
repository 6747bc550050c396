// What a filter may do, as people write it: in the manifest beside the filter, and in the configuration, which can narrow it.

import * as z from "zod"
import type { PermissionsConfig } from "./model.ts"
import { checked, either, list, object, string } from "./schema-kit.ts"
import { quote, Wrong } from "./units.ts"

const NAME = /^:?[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/

const headerName = checked("a header's name", 'a header\'s name, such as "x-user"', (text) =>
  NAME.test(text) ? undefined : new Wrong(`${quote(text)} can't name a header; write a name such as "x-user"`),
)
const hostCall = checked("a host call", "the name of a host call, such as proxy_http_call", (text) =>
  /^proxy_[a-z_]{1,60}$/.test(text) ? undefined : new Wrong(`${quote(text)} is no host call; write a name such as proxy_http_call`),
)

/** A list, or "*" for everything. */
function grant<T extends z.ZodType>(item: T, what: string, otherwise: "*" | []) {
  const most = { error: `has more than ${MAX_NAMES} entries; write "*" for everything` }
  return either(
    [z.literal("*"), list(item, what).max(MAX_NAMES, most)] as const,
    'a list or the text "*"',
    `${what}, or "*" for everything`,
  ).default(otherwise)
}

const MAX_NAMES = 1024

/** `otherwise`: what holds for what is not named, nothing (a manifest) or no limit (a configuration that narrows one). */
export function permissionsSchema(otherwise: "*" | []): z.ZodType<PermissionsConfig> {
  const unless = otherwise === "*" ? "Default: what its manifest allows." : "Default none."
  return object(
    {
      services: grant(string("a service's name", "a service's name"), "names of services", otherwise).describe(
        `Services it may call, or choose for a request. ${unless}`,
      ),
      headers: object(
        {
          read: grant(headerName, "names of headers", otherwise).describe(`Headers it may read. ${unless}`),
          write: grant(headerName, "names of headers", otherwise).describe(`Headers it may set, add and remove. ${unless}`),
        },
        'headers it may use, such as { "read": ["authorization"], "write": ["x-user"] }',
      )
        .prefault({})
        .describe(`Headers it may use. ${unless}`),
      shared: grant(string("a prefix of keys", "a prefix of keys"), "prefixes of keys", otherwise).describe(
        `Prefixes of the shared-data keys and queue names it may use. ${unless}`,
      ),
      hostCalls: grant(hostCall, "names of host calls", "*").describe(
        "Host calls it may make. Default all; what they may touch is limited by the rest.",
      ),
    },
    'permissions, such as { "services": ["idp"] }',
  )
}
