// What users write about the requests a route takes, as zod schemas: path, method, headers, cookies, query, a share of them.

import type * as z from "zod"
import { parseFieldName, parseMethod, parsePath, wrongFieldValue } from "./message-parts.ts"
import type { MatchConfig, ValueMatch } from "./model.ts"
import { wrongRegex } from "./regex.ts"
import { checked, either, list, object, parsed, percent, record, string } from "./schema-kit.ts"
import { wrongCookieName, wrongCookieValue } from "./shaping-schema.ts"
import { Wrong } from "./units.ts"

const matchedFieldName = checked("a header name", "a header name, such as x-user", (text) => {
  const found = parseFieldName(text, "match")
  return found instanceof Wrong ? found : undefined
})
export const fieldValue = checked("a header value", "the value as a text", wrongFieldValue)
const regex = checked("a regular expression", "one, such as [0-9]+", wrongRegex)

/** Lower-cased pairs; two spellings of one name are refused, for which of them wins would depend on their order. */
export function pairs<T>(entries: Record<string, T>, context: z.RefinementCtx): (readonly [string, T])[] {
  const out: (readonly [string, T])[] = []
  const seen = new Set<string>()
  for (const [key, value] of Object.entries(entries)) {
    const name = key.toLowerCase()
    if (seen.has(name)) {
      context.issues.push({
        code: "custom",
        input: entries,
        path: [key],
        message: `names the header ${name} a second time; write it once, in lower case`,
      })
    }
    seen.add(name)
    out.push([name, value])
  }
  return out
}

/** A value that must be there: a text, or a regular expression for the whole of it. */
function valueMatchOf(exact: z.ZodString) {
  const forms = object(
    { exact: exact.optional().describe("The whole value."), regex: regex.optional().describe("Matches the whole value.") },
    "{ exact: ... } or { regex: ... }",
  )
    .check(oneOf(["exact", "regex"], "write { exact: ... } or { regex: ... }"))
    .transform((found): ValueMatch => (found.exact !== undefined ? { exact: found.exact } : { regex: found.regex ?? "" }))
  return either(
    [exact.transform((text): ValueMatch => ({ exact: text })), forms],
    "a text or an object",
    'a text, such as "1", which matches exactly, or { regex: ... }',
  )
}

const headerMatch = valueMatchOf(fieldValue)
const queryMatch = valueMatchOf(
  string("a value", "the value as a text").max(4096, { error: "is longer than 4096 characters; write a shorter value" }),
)
const queryName = checked("a parameter name", "a parameter name, such as version", (text) =>
  text === "" || text.length > 256 ? new Wrong("is not a parameter name; write 1 to 256 characters") : undefined,
)
const cookieMatch = valueMatchOf(checked("a cookie's value", "the value as a text", wrongCookieValue))
const cookieName = checked("a cookie's name", "a name, such as session", wrongCookieName)

function oneOf(keys: readonly string[], remedy: string): (context: z.core.ParsePayload<Record<string, unknown>>) => void {
  return (context) => {
    const given = keys.filter((key) => context.value[key] !== undefined)
    if (given.length === 1) return
    const message =
      given.length === 0
        ? `needs one of ${keys.slice(0, -1).join(", ")} and ${keys[keys.length - 1]}; ${remedy}`
        : `has ${given.join(" and ")}, but only one of them can be; ${remedy}`
    context.issues.push({ code: "custom", input: context.value, message })
  }
}

const exactPath = parsed("a path", "a path, such as /api", (text) => parsePath(text, "exact"))
const prefixPath = parsed("a path", "a path, such as /api", (text) => parsePath(text, "prefix"))

const pathRemedy = "write { exact: /a }, { prefix: /a } or { regex: /a/[0-9]+ }"
const path = either(
  [
    prefixPath
      .transform((value): MatchConfig["path"] => ({ kind: "prefix", value }))
      .describe("A prefix of whole segments: /api matches /api and /api/x."),
    object(
      {
        exact: exactPath.optional().describe("The whole path."),
        prefix: prefixPath.optional().describe("A prefix of whole segments: /api matches /api and /api/x."),
        regex: regex.optional().describe("Matches the whole path."),
      },
      pathRemedy.slice("write ".length),
    )
      .check(oneOf(["exact", "prefix", "regex"], pathRemedy))
      .transform(({ exact, prefix, regex }): MatchConfig["path"] => {
        if (exact !== undefined) return { kind: "exact", value: exact }
        return prefix !== undefined ? { kind: "prefix", value: prefix } : { kind: "regex", value: regex ?? "" }
      }),
  ],
  "a text or an object",
  "a prefix, such as /api, or { exact: ... } or { regex: ... }",
)

const method = parsed("a method", "a method, such as GET", parseMethod)
export const match = object(
  {
    path: path.optional().describe("A text is a prefix; { exact: ... } and { regex: ... } are the other forms. Default: every path."),
    method: either(
      [method, list(method, "a list of methods, such as [GET, POST]")],
      "a text or a list",
      "a method, such as GET, or a list of methods",
    )
      .transform((methods): readonly string[] => (typeof methods === "string" ? [methods] : [...new Set(methods)]))
      .optional()
      .describe("One method or a list of them. Default: every method."),
    headers: record(matchedFieldName, headerMatch, 'names and values, such as { x-beta: "1" }')
      .transform((entries, context): MatchConfig["headers"] => pairs(entries, context).map(([name, value]) => ({ name, value })))
      .optional()
      .describe("Headers that must all match; a text matches exactly."),
    query: record(queryName, queryMatch, 'names and values, such as { version: "2" }')
      .transform((entries): MatchConfig["query"] => Object.entries(entries).map(([name, value]) => ({ name, value })))
      .optional()
      .describe("Query parameters that must all match; a text matches exactly."),
    cookies: record(cookieName, cookieMatch, 'names and values, such as { tier: "gold" }')
      .transform((entries): MatchConfig["query"] => Object.entries(entries).map(([name, value]) => ({ name, value })))
      .optional()
      .describe("Cookies that must all match; a text matches exactly."),
    percentage: percent()
      .optional()
      .describe("Share of the requests with all of that which this match takes; the others go on to the next one. Default 100%."),
  },
  "what to match, such as { path: /api }",
).transform(
  (found): MatchConfig => ({
    path: found.path ?? { kind: "prefix", value: "/" },
    methods: found.method ?? [],
    headers: found.headers ?? [],
    query: found.query ?? [],
    ...(found.cookies === undefined ? {} : { cookies: found.cookies }),
    ...(found.percentage === undefined ? {} : { percentage: found.percentage }),
  }),
)
