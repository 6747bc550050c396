// `tests.json`: cases for one filter, as zod schemas. Version 1 of the format; the same schemas print its JSON Schema. Values
// may be templates (templates.ts), which are computed when their step runs.

import { readFileSync } from "node:fs"
import * as z from "zod"
import { toFindings } from "../config/issues.ts"
import { formatPath, type Path, type Problem } from "../config/problem.ts"
import { boolean, choice, duration, either, integer, json, list, object, record, size, string } from "../config/schema-kit.ts"
import { type Finding, textSource } from "../config/source.ts"
import { templateNames } from "./templates.ts"
import { keyAlgorithms } from "./test-keys.ts"

export const TESTS_FILE = "tests.json"
const MAX_FILE = 16 * 1024 * 1024
const MAX_CASES = 10_000

/** Each of them alone, in an object. */
const templateKeys = Object.fromEntries(templateNames.map((name) => [name, z.unknown().optional()])) as Record<
  (typeof templateNames)[number],
  z.ZodOptional<z.ZodUnknown>
>
const ALONE = 'holds more than one key, or none; write one, such as { "$value": "token" }'
/** An unknown key is told as such, and not also as one that is missing. */
const unbroken = ({ issues }: { readonly issues: readonly unknown[] }): boolean => issues.length === 0

const template = object(templateKeys, 'a template, such as { "$value": "token" }').refine((value) => Object.keys(value).length === 1, {
  error: ALONE,
  when: unbroken,
})

const plain = (what: string, write: string) => string(what, write)
const text = either([plain("a text", "a text"), template], "a text or a template", 'a text, or a template such as { "$value": "token" }')
const key = string("a name", "a name")

const regex = string("a regular expression", "a regular expression").refine(
  (source) => {
    try {
      new RegExp(source, "su")
      return true
    } catch {
      return false
    }
  },
  { error: "is no regular expression; write one of JavaScript's, with backslashes doubled" },
)
/** What a text must hold or match; or a template for the text itself: one object, so that its mistakes are told and not those of the forms it could have. */
const condition = object(
  {
    contains: either(
      [plain("a text", "a text"), template, list(text, "texts")],
      "a text or a list of texts",
      "a text it holds, or several",
    ).optional(),
    matches: regex.optional().describe("A JavaScript regular expression that must match somewhere."),
    ...templateKeys,
  },
  '{ "contains": "a text" }',
).refine((value) => Object.keys(value).length === 1, { error: ALONE, when: unbroken })
const write = 'a text, { "contains": "..." } or { "matches": "..." }'
const textMatch = either([plain("a text", write), condition], "a text or a condition", write)
const maybeText = either([plain("a text", write), condition, z.null()], "a text, a condition or null", `${write}, or null = absent`)
const headerMatch = either(
  [plain("a text", write), condition, list(text, "texts"), z.null()],
  "a text, a condition, a list or null",
  `${write}, a list of all its values, or null = absent`,
)

const headers = record(
  key,
  either([plain("a text", "a text"), template, list(text, "texts")], "a text or a list of texts", "a text, or a list for several fields"),
  'headers by name, such as { "x-user": "alice" }',
)
const chunk = either([plain("a text", "a text"), template], "a text or a template", "a text; an empty last one lets the end come by itself")

const content = {
  headers: headers.optional().describe("By name; a list = several fields of that name."),
  body: text.optional().describe('Body as text (UTF-8), or { "$bytes": base64 }.'),
  json: json().optional().describe("Body as JSON; content-type is set unless it is among the headers."),
  chunks: list(chunk, "texts")
    .optional()
    .describe("Body in these pieces, without a content-length. An empty last piece lets the end come by itself."),
  trailers: headers.optional().describe("Trailers, by name."),
}

const status = integer(200, 999)

const requestSchema = object(
  {
    method: text.optional().describe("Default GET, with a body POST."),
    path: text.optional().describe("Path and query. Default /."),
    authority: text.optional().describe("Default example.com."),
    scheme: choice(["http", "https"]).optional().describe("Default http."),
    ...content,
    peer: object(
      {
        address: string("an address", "an IP address").optional().describe("Default 192.0.2.1."),
        port: integer(1, 65535).optional().describe("Default 50000."),
        trustedHops: integer(0, 32).optional().describe("Proxies in front that are believed. Default 0."),
      },
      'the client, such as { "address": "10.1.2.3" }',
    )
      .optional()
      .describe("The client."),
  },
  'a request, such as { "path": "/orders" }',
)

const upstreamSchema = object({ status: status.optional().describe("Default 200."), ...content }, 'a response, such as { "status": 200 }')

const messageMatch = {
  headers: record(key, headerMatch, 'headers by name, such as { "x-user": "alice" }')
    .optional()
    .describe("By name; null = it must be absent. Others are not looked at."),
  body: textMatch.optional(),
  json: json().optional().describe("The body, as JSON, is exactly this."),
  chunks: integer(0, 1_000_000).optional().describe("In how many pieces the body was passed on."),
  trailers: record(key, headerMatch, "trailers by name").optional(),
}

const calloutMatch = object(
  {
    method: text.optional(),
    path: textMatch.optional(),
    authority: text.optional(),
    timeout: duration({ zero: true }).optional().describe("The callout's deadline; 0 = none."),
    ...messageMatch,
  },
  'what the filter must ask, such as { "path": "/keys" }',
)

const answer = object(
  {
    expect: calloutMatch.optional().describe("What the filter must ask for."),
    respond: either(
      [
        object(
          { status: status.optional(), ...content, after: duration({ zero: true }).optional() },
          'a response, such as { "status": 200 }',
        ),
        object(
          {
            fail: choice(["timeout", "reset"]).describe("timeout: it never answers; reset: it cuts the connection off."),
            after: duration({ zero: true }).optional(),
          },
          '{ "fail": "timeout" }',
        ),
      ],
      "a response or a failure",
      'a response such as { "status": 200 }, or { "fail": "timeout" }',
    ).describe("The answer; `after` lets it take time of the fake clock."),
  },
  '{ "respond": { "status": 200 } }',
)

const services = record(
  key,
  either(
    [list(answer, "answers in order"), answer, z.null()],
    "answers",
    "a list of answers in order, one for every request, or null = there is no such service",
  ),
  'services by name, such as { "idp": [{ "respond": { "status": 200 } }] }',
)

const logMatch = object(
  {
    level: choice(["trace", "debug", "info", "warn", "error", "critical"]).optional(),
    contains: text.optional(),
    matches: regex.optional(),
  },
  'a line, such as { "level": "warn", "contains": "unknown key" }',
)

const expectSchema = object(
  {
    upstream: either(
      [
        object(
          { method: text.optional(), path: text.optional(), authority: text.optional(), service: text.optional(), ...messageMatch },
          'what goes upstream, such as { "headers": { "x-client": "alice" } }',
        ),
        z.null(),
      ],
      "an object or null",
      "what goes upstream, or null = nothing does",
    )
      .optional()
      .describe("What goes upstream; null = nothing does."),
    response: either(
      [object({ status: status.optional(), ...messageMatch }, 'what the client gets, such as { "status": 200 }'), z.null()],
      "an object or null",
      "what the client gets, or null = nothing",
    )
      .optional()
      .describe("What the client gets; null = it gets nothing."),
    reply: boolean().optional().describe("Whether the response is a filter's own."),
    pending: boolean().optional().describe("Whether a filter holds the exchange back at the end of this step. Default false."),
    aborted: boolean().optional().describe("Whether the client is cut off."),
    rerouted: boolean().optional().describe("Whether the filter asked for the route to be looked up anew."),
    flag: string("a text", 'a response flag, such as "FT", or "" for none')
      .optional()
      .describe("Response flag: LR a filter's reply, FT a trap, FB out of budget …"),
    logs: list(logMatch, "lines")
      .optional()
      .describe("Lines that are logged in this step, in this order; others may stand between. An empty list = none is."),
    metrics: record(
      key,
      either(
        [z.number(), object({ count: integer(0, 2 ** 53 - 1).optional(), sum: z.number().optional() }, '{ "count": 1, "sum": 5 }')],
        "a number or an object",
        "a number; for a histogram { count, sum }",
      ),
      "values by metric",
    )
      .optional()
      .describe("Values of metrics after this step."),
    calls: either(
      [integer(0, 1_000_000), record(key, integer(0, 1_000_000), "numbers by service")],
      "a number or an object",
      "how many, or { service: how many }",
    )
      .optional()
      .describe("Callouts made in this step."),
    shared: record(key, maybeText, "values by key").optional().describe("Shared data after this step; null = absent."),
  },
  'what must happen, such as { "response": { "status": 200 } }',
)

const save = record(
  key,
  object(
    {
      from: string("a place", "response.headers.NAME, response.body, upstream.headers.NAME, upstream.body or upstream.path").refine(
        (place) => SAVED_FROM.test(place),
        { error: "is no place; write response.headers.NAME, response.body, upstream.headers.NAME, upstream.body or upstream.path" },
      ),
      matches: regex.optional().describe("Only what this matches: its first group, or all of it."),
    },
    '{ "from": "response.headers.set-cookie" }',
  ),
  'values by name, such as { "cookie": { "from": "response.headers.set-cookie" } }',
)

/** Places of {@link save}. */
export const SAVED_FROM: RegExp = /^(?:(response|upstream)\.headers\.([!-~]+)|(response|upstream)\.body|upstream\.path)$/

const stepParts = {
  request: requestSchema.optional().describe("A request of a client."),
  upstream: upstreamSchema.optional().describe("What the upstream answers. Default 200 without a body."),
  repeat: integer(1, 100_000).optional().describe("The same request so many times; each must do what is expected."),
  expect: expectSchema.optional(),
  save: save.optional().describe('Values for later steps, as { "$value": NAME }.'),
}

const step = object(
  {
    ...stepParts,
    services: services.optional().describe("Services that answer differently from here on."),
    advance: duration().optional().describe("Lets time pass."),
  },
  'a step, such as { "request": { "path": "/" } } or { "advance": "10s" }',
).check((context) => {
  const { request, advance, upstream, repeat } = context.value
  if (request !== undefined && advance !== undefined) issue(context, ["advance"], "can't stand beside request; write two steps")
  if (request === undefined && advance === undefined) issue(context, [], 'does nothing; write "request" or "advance"')
  if (request === undefined && upstream !== undefined) issue(context, ["upstream"], "belongs to a request")
  if (request === undefined && repeat !== undefined) issue(context, ["repeat"], "belongs to a request")
})

const surroundings = {
  config: json().optional().describe("What the filter is configured with. A case's keys are laid over the file's."),
  clock: string("a time", 'a time, such as "2026-01-01T00:00:00Z"')
    .refine((time) => Number.isFinite(Date.parse(time)), { error: 'is no time; write one such as "2026-01-01T00:00:00Z"' })
    .optional()
    .describe("When it takes place. Default 2026-01-01T00:00:00Z."),
  services: services.optional().describe("Services the filter may call. One that is not here does not exist."),
  shared: record(key, text, "values by key").optional().describe("Shared data the filter finds."),
  values: record(key, json(), "values by name").optional().describe('Values by name, used as { "$value": NAME }.'),
  backends: list(string("a service", "a service"), "services")
    .optional()
    .describe("Services requests can be sent to, the route's own first. Default: any, and \"upstream\" is the route's."),
  limits: object(
    { cpu: duration({ fine: true }).optional(), memory: size(65_536, 2 ** 32).optional(), body: size(0, 2 ** 31).optional() },
    'limits, such as { "cpu": "1ms" }',
  )
    .optional()
    .describe("Limits of the filter. Default cpu 5ms, memory 16MiB, body 1MiB."),
  onError: choice(["deny", "skip"]).optional().describe("What happens to exchanges when the filter fails. Default deny."),
}

const caseSchema = object(
  {
    name: string("a name", "what the case is about").min(1, { error: "is empty; write what the case is about" }),
    bench: boolean().optional().describe("`sluice filter bench` measures this case."),
    ...surroundings,
    ...stepParts,
    steps: list(step, "steps").min(1, { error: "is an empty list" }).optional().describe("Several exchanges, with time between them."),
    refused: textMatch.optional().describe("The filter refuses this configuration, and says so."),
  },
  'a case, such as { "name": "...", "request": {}, "expect": {} }',
).check((context) => {
  const { request, steps, refused, upstream, expect, save, repeat } = context.value
  const given = [request, steps, refused].filter((each) => each !== undefined).length
  if (given === 0) issue(context, [], 'does nothing; write "request", "steps" or "refused"')
  if (given > 1) issue(context, [], 'has more than one of "request", "steps" and "refused"')
  if (request !== undefined || given !== 1) return
  for (const [part, value] of Object.entries({ upstream, expect, save, repeat })) {
    if (value !== undefined) issue(context, [part], "belongs to a request; write it into a step")
  }
})

const fileSchema = object(
  {
    $schema: string("a URL", "a URL").optional().describe("For editors."),
    version: z.literal(1, { error: "is not known; write 1" }).default(1).describe("Version of this format."),
    ...surroundings,
    keys: record(
      key,
      object(
        {
          alg: choice(keyAlgorithms),
          kid: string("a text", "a key id").optional().describe("Default: its name."),
          secret: string("a text", "the shared secret").optional().describe("Of HS… keys."),
        },
        '{ "alg": "ES256" }',
      ),
      'keys by name, such as { "k1": { "alg": "ES256" } }',
    )
      .optional()
      .describe("Keys that tokens are signed with; made anew for every run."),
    cases: list(caseSchema, 'cases, such as [{ "name": "...", "request": {} }]')
      .min(1, { error: "is an empty list; write a case" })
      .max(MAX_CASES, { error: `holds more than ${MAX_CASES} cases` }),
  },
  'tests, such as { "cases": [] }',
)

function issue(context: { readonly value: unknown; issues: z.core.$ZodRawIssue[] }, path: Path, message: string): void {
  context.issues.push({ code: "custom", input: context.value, path: [...path], message })
}

export type TestsFile = z.output<typeof fileSchema>
export type TestCase = z.output<typeof caseSchema>
export type TestStep = z.output<typeof step>
export type Surroundings = Pick<TestCase, keyof typeof surroundings>
export type Expectation = z.output<typeof expectSchema>
export type WrittenAnswer = z.output<typeof answer>

export type TestsResult = { readonly ok: true; readonly tests: TestsFile } | { readonly ok: false; readonly problems: readonly Problem[] }

/** Reads the text of a tests.json; `file` is for the problems. Never throws. */
export function parseTests(source: string, file: string): TestsResult {
  const whole = (message: string): TestsResult => ({ ok: false, problems: [{ file, line: 0, column: 0, path: "", message }] })
  if (source.length > MAX_FILE) return whole(`is larger than ${MAX_FILE / 1024 / 1024} MiB`)
  const parsed = textSource(source)
  let findings: readonly Finding[] = parsed.findings
  if (findings.length === 0) {
    const result = z.safeParse(fileSchema, parsed.value)
    if (result.success) {
      const names = result.data.cases.map((each) => each.name)
      const twice = names.findIndex((name, i) => names.indexOf(name) !== i)
      if (twice === -1) return { ok: true, tests: result.data }
      findings = [
        { path: ["cases", twice, "name"], at: "value", message: `the name ${JSON.stringify(names[twice])} is used twice; choose another` },
      ]
    } else {
      findings = toFindings(result.error.issues)
    }
  }
  const problems = findings.map((finding) => {
    const message = typeof finding.message === "string" ? finding.message : finding.message()
    const { line = 0, column = 0, source: excerpt } = parsed.locate(finding) ?? {}
    return { file, line, column, path: formatPath(finding.path), message, source: excerpt }
  })
  return { ok: false, problems }
}

export function readTests(file: string): TestsResult {
  let text: string
  try {
    text = readFileSync(file, "utf8")
  } catch (error) {
    const message = `can't be read: ${error instanceof Error ? error.message : String(error)}`
    return { ok: false, problems: [{ file, line: 0, column: 0, path: "", message }] }
  }
  return parseTests(text, file)
}

/** JSON Schema (draft 2020-12) of tests.json, for editors. */
export function testsJsonSchema(): Record<string, unknown> {
  return { title: "Sluice filter tests, version 1", ...z.toJSONSchema(fileSchema, { io: "input" }) }
}
