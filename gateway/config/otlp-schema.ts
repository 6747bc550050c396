// What users write about a receiver of OpenTelemetry's protocol over HTTP, as a zod schema.

import { parseFieldName, wrongFieldValue } from "./message-parts.ts"
import type { OtlpConfig } from "./otlp-model.ts"
import { checked, duration, either, object, parsed, record, string } from "./schema-kit.ts"
import { quote, Wrong } from "./units.ts"

const EXAMPLE = "http://127.0.0.1:4318"

const url = parsed("an address", EXAMPLE, (text): string | Wrong => {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text))
    return new Wrong(`${quote(text)} is not an http or https URL; write one such as ${EXAMPLE}`)
  const { username, password, search, hash } = new URL(text)
  // What it holds would be shown with the configuration.
  if (username !== "" || password !== "") return new Wrong("holds a user name or password; use headers: { authorization: { env: NAME } }")
  if (search !== "" || hash !== "") return new Wrong(`has more than a path behind its port; write one such as ${EXAMPLE}`)
  return text.replace(/\/+$/, "")
})

const variable = checked("the name of an environment variable", "the name of an environment variable, such as OTLP_TOKEN", (text) =>
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(text)
    ? undefined
    : new Wrong(`${quote(text)} can't name an environment variable; write one such as OTLP_TOKEN`),
)

const value = either(
  [
    checked("a text", "a text", wrongFieldValue),
    object({ env: variable.describe("Name of the environment variable it is in.") }, "{ env: OTLP_TOKEN }"),
  ],
  "a text or an object",
  "a text, or { env: OTLP_TOKEN }",
)

const headers = record(
  string("a name", "a name, such as authorization"),
  value,
  "headers by name, such as { authorization: { env: OTLP_TOKEN } }",
)
  .transform((given, context): OtlpConfig["headers"] => {
    const out: Record<string, string | { readonly env: string }> = {}
    for (const [key, each] of Object.entries(given)) {
      const name = parseFieldName(key, "edit")
      if (name instanceof Wrong) context.issues.push({ code: "custom", input: key, message: name.message })
      else out[name] = each
    }
    return out
  })
  .prefault({})
  .describe("Sent with every request: a text, or { env: NAME } of an environment variable.")

/** A URL, or more about a receiver. */
export const otlp = either(
  [
    url.transform((each): OtlpConfig => ({ url: each, headers: {}, timeout: 10_000 })),
    object(
      {
        url: url.describe(`Where it listens, such as ${EXAMPLE}; /v1/logs or /v1/traces is put behind it.`),
        headers,
        timeout: duration().default(10_000).describe("A request to it may take this long. Default 10s."),
      },
      `{ url: ${EXAMPLE} }`,
    ),
  ],
  "a text or an object",
  `${EXAMPLE}, or { url: ${EXAMPLE}, headers: { authorization: { env: OTLP_TOKEN } } }`,
)
