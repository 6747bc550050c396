// What users write about the access log, as a zod schema, and what becomes of it.

import { resolve } from "node:path"
import * as z from "zod"
import type { AccessDestination, AccessFormatConfig, AccessLogConfig } from "./access-log-model.ts"
import { parseTemplate } from "./access-template.ts"
import { statuses } from "./health-schema.ts"
import { otlp } from "./otlp-schema.ts"
import {
  boolean,
  checked,
  choice,
  duration,
  list,
  mismatch,
  mismatchedChoice,
  object,
  parsed,
  percent,
  record,
  string,
} from "./schema-kit.ts"
import { quote, Wrong } from "./units.ts"

/** One of some words, or an object. What is wrong with a word is said of the word. */
function wordOr<const W extends readonly string[], O extends z.ZodType>(
  words: W,
  form: O,
  write: string,
): z.ZodUnion<readonly [z.ZodEnum<z.core.util.ToEnum<W[number]>>, O]> {
  return z.union([choice(words), form], {
    error: ({ input }) =>
      typeof input === "string" || input === false ? mismatchedChoice(input, words) : mismatch(input, "a text or an object", write),
  })
}

/** Fields of one line, and fields of a message that it shows. */
const MAX_FIELDS = 64

const template = (example: string): z.ZodString =>
  checked("a text", example, (text) => {
    const parts = parseTemplate(text)
    return parts instanceof Wrong ? parts : undefined
  })

const fieldName = parsed("a name", "a name of a field, such as x-user", (text) =>
  /^[!#$%&'*+\-.^_`|~0-9a-z]{1,256}$/i.test(text)
    ? text.toLowerCase()
    : new Wrong(`${quote(text)} is not a header name; use letters, digits and -, such as x-user`),
)
const fieldNames = list(fieldName, "a list, such as [x-user]").max(MAX_FIELDS, { error: `has more than ${MAX_FIELDS} names; write fewer` })

const jsonFields = record(
  checked("a name", "a name", (text) =>
    /^[\x20-\x7e]{1,128}$/.test(text) ? undefined : new Wrong(`${quote(text)} can't name a field; use up to 128 characters of ASCII`),
  ),
  template('a text with operators, such as "%REQ(x-user)%"'),
  'texts by name, such as { time: "%START_TIME%", user: "%REQ(x-user)%" }',
).refine((fields) => Object.keys(fields).length > 0 && Object.keys(fields).length <= MAX_FIELDS, {
  error: `names no field, or more than ${MAX_FIELDS}; write some, such as { time: "%START_TIME%" }`,
})

const format = wordOr(
  ["json"],
  object(
    {
      json: jsonFields.optional().describe("Lines of JSON with these fields, each a text with operators."),
      template: template('a text with operators, such as "%START_TIME% %RESPONSE_CODE%"')
        .optional()
        .describe("Lines of text: Envoy's operators, and the names of the usual JSON between percent signs."),
    },
    '{ json: { user: "%REQ(x-user)%" } } or { template: "%START_TIME% %RESPONSE_CODE%" }',
  ).refine((given) => (given.json === undefined) !== (given.template === undefined), {
    error: "names both json and template, or neither; write one of them",
  }),
  'json, { json: { user: "%REQ(x-user)%" } } or { template: "%START_TIME% %RESPONSE_CODE%" }',
)

const only = object(
  {
    status: list(statuses, "a list, such as [5xx, 404]")
      .min(1, { error: "is an empty list; write some, such as [5xx, 404]" })
      .optional()
      .describe('Only these statuses, single or as ranges (5xx, "400-404"). A TCP connection has none, and passes.'),
    slowerThan: duration().optional().describe("Only exchanges that took longer."),
    sample: percent().optional().describe("A share of those that pass the other conditions. Default 100%."),
    keepErrors: boolean()
      .default(true)
      .describe("Exchanges with a response flag get their line whatever the conditions say. Default true."),
  },
  "{ status: [5xx, 404], slowerThan: 500ms, sample: 10% }",
)

const destination = wordOr(
  ["stdout"],
  object(
    {
      file: string("a path", "a path, such as access.log")
        .min(1, { error: "is empty; write a path, such as access.log" })
        .max(4096, { error: "is longer than 4096 characters" })
        .optional()
        .describe("A file lines are appended to, from the configuration's folder; its own folder has to be there."),
      otlp: otlp.optional().describe("A receiver of OpenTelemetry's logs (OTLP over HTTP, protobuf)."),
      serviceName: string("a text", "a text, such as sluice")
        .min(1, { error: "is empty; write a text, such as sluice" })
        .max(256, { error: "is longer than 256 characters" })
        .optional()
        .describe("With otlp: what the receiver knows this gateway as (service.name). Default sluice."),
    },
    "{ file: access.log } or { otlp: http://127.0.0.1:4318 }",
  )
    .refine((given) => (given.file === undefined) !== (given.otlp === undefined), {
      error: "names both file and otlp, or neither; write one of them",
    })
    .refine((given) => given.otlp !== undefined || given.serviceName === undefined, {
      error: "has a serviceName, which only a receiver of OTLP is told; leave it out",
    }),
  "stdout, { file: access.log } or { otlp: http://127.0.0.1:4318 }",
)

/** A mode, or more. */
export const accessLog = wordOr(
  ["off", "errors", "all"],
  object(
    {
      when: choice(["errors", "all"])
        .optional()
        .describe("Which exchanges get a line: errors (those with a response flag), all. Default errors, with only: all."),
      only: only.optional().describe("Conditions that exchanges have to meet."),
      openEvery: duration()
        .refine((ms) => ms >= 1000, { error: "is shorter than a second; write 1s or longer, such as 10m" })
        .optional()
        .describe("What isn't over after this long has a line, and another one each time. Default: a line at the end alone."),
      to: destination.default("stdout").describe("Where lines go. Default stdout."),
      format: format.default("json").describe("What a line looks like. Default json."),
      headers: object(
        {
          request: fieldNames.default([]).describe("Of requests, as clients sent them."),
          response: fieldNames.default([]).describe("Of responses, as clients got them."),
        },
        "{ request: [x-user], response: [x-cache] }",
      )
        .optional()
        .describe("Headers shown beside the usual fields, as requestHeaders and responseHeaders."),
      redact: fieldNames
        .optional()
        .describe(
          "Headers whose values are never shown. Default: those that sound like secrets, such as cookie and authorization. [] = none.",
        ),
    },
    "{ when: all, to: { file: access.log } }",
  )
    .refine((given) => given.headers === undefined || given.format === "json", {
      path: ["headers"],
      error: 'belongs to format: json; write "%REQ(x-user)%" or "%RESP(x-cache)%" in the format',
    })
    .refine((given) => given.openEvery === undefined || given.when === "all" || (given.when === undefined && given.only !== undefined), {
      path: ["openEvery"],
      error: "changes nothing, for what isn't over has not failed; write when: all, too",
    })
    .refine((given) => given.when !== "errors" || given.only?.keepErrors !== true, {
      path: ["only"],
      error: "changes nothing, for when: errors has only exchanges that are kept in any case; write when: all, or keepErrors: false",
    }),
  "off, errors, all, or { when: all, to: { file: access.log } }",
)

export type WrittenAccessLog = z.output<typeof accessLog>

/** `baseDir`: files are relative to it. */
export function buildAccessLog(written: WrittenAccessLog, baseDir: string): AccessLogConfig {
  if (typeof written === "string")
    return {
      when: written,
      only: null,
      to: { kind: "stdout" },
      format: { kind: "json" },
      headers: { request: [], response: [] },
      redact: null,
    }
  const { when, only, openEvery, to, format, headers = { request: [], response: [] }, redact = null } = written
  return {
    when: when ?? (only === undefined ? "errors" : "all"),
    only:
      only === undefined
        ? null
        : { status: only.status ?? [], slowerThan: only.slowerThan ?? 0, sample: only.sample ?? 1, keepErrors: only.keepErrors },
    ...(openEvery === undefined ? {} : { openEvery }),
    to: buildDestination(to, baseDir),
    format: buildFormat(format),
    headers,
    redact,
  }
}

function buildDestination(written: Exclude<WrittenAccessLog, string>["to"], baseDir: string): AccessDestination {
  if (written === "stdout") return { kind: "stdout" }
  if (written.otlp !== undefined) return { kind: "otlp", otlp: written.otlp, serviceName: written.serviceName ?? "sluice" }
  return { kind: "file", path: resolve(baseDir, written.file as string) }
}

function buildFormat(written: Exclude<WrittenAccessLog, string>["format"]): AccessFormatConfig {
  if (written === "json") return { kind: "json" }
  if (written.template !== undefined) return { kind: "template", template: written.template }
  return { kind: "fields", fields: written.json ?? {} }
}
