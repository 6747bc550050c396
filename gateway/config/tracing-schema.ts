// What users write about tracing, as zod schemas, and what becomes of it.

import * as z from "zod"
import { parseFieldName } from "./message-parts.ts"
import { otlp } from "./otlp-schema.ts"
import { boolean, choice, either, list, object, parsed, percent, string } from "./schema-kit.ts"
import type { PropagationFormat, RouteTracingConfig, TracingConfig } from "./tracing-model.ts"

const EXAMPLE = "http://127.0.0.1:4318"

const format = choice(["w3c", "b3", "b3multi"])
const formats = either(
  [format, list(format, "a list, such as [w3c, b3]").min(1, { error: "is an empty list; write at least one, such as w3c" })],
  "a text or a list",
  "w3c, b3, b3multi or a list of them",
).transform((given): readonly PropagationFormat[] => (typeof given === "string" ? [given] : [...new Set(given)]))

export const tracing = object(
  {
    otlp: otlp.describe(`Collector that gets the spans, by OTLP over HTTP: ${EXAMPLE}, or { url, headers, timeout }.`),
    sampling: percent().default(0.01).describe("Share of the traces that begin here which are recorded. Default 1%."),
    propagation: formats
      .default(["w3c"])
      .describe("Formats that are understood, in this order, and written: w3c, b3 (one header), b3multi (x-b3-…). Default [w3c]."),
    trustParents: boolean()
      .default(false)
      .describe(
        "Traces of clients are joined, and what they say of sampling is respected, also on listeners without trustedHops. Default false: they begin anew here, with a link.",
      ),
    force: parsed("the name of a header", "the name of a header, such as x-sluice-trace", (text) => parseFieldName(text, "edit"))
      .optional()
      .describe("Header by which proxies in front (trustedHops) have a request recorded: 1 or true. Others' is removed. Default: none."),
    filters: boolean().default(false).describe("Every phase of a filter gets a span. Default false."),
    serviceName: string("a text", "a name, such as sluice")
      .min(1, { error: "is empty; write a name, such as sluice" })
      .max(255, { error: "is longer than 255 characters; write a shorter one" })
      .default("sluice")
      .describe("What the gateway is called in traces (service.name). Default sluice."),
  },
  `{ otlp: ${EXAMPLE} }`,
)

export const routeTracing = either(
  [
    z.literal(false),
    object(
      {
        sampling: percent()
          .optional()
          .describe("Share of the route's traces that begin here which are recorded. Default: that of tracing."),
        filters: boolean().optional().describe("Every phase of a filter gets a span. Default: as in tracing."),
      },
      "{ sampling: 100%, filters: true } or false",
    ),
  ],
  "false or an object",
  "{ sampling: 100%, filters: true } or false",
)

export const connectionTracing = either(
  [
    z.literal(false),
    object(
      { sampling: percent().optional().describe("Share of the listener's connections which are recorded. Default: that of tracing.") },
      "{ sampling: 100% } or false",
    ),
  ],
  "false or an object",
  "{ sampling: 100% } or false",
)

export type WrittenTracing = z.output<typeof tracing>
export type WrittenRouteTracing = z.output<typeof routeTracing>

export function buildTracing({ filters: _, force = "", ...rest }: WrittenTracing): TracingConfig {
  return { ...rest, force }
}

/** `whole`: that of the gateway. */
export function buildRouteTracing(whole: WrittenTracing, written: WrittenRouteTracing | undefined): RouteTracingConfig {
  if (written === false) return { sampling: null, filters: false }
  return { sampling: written?.sampling ?? whole.sampling, filters: written?.filters ?? whole.filters }
}

/** Phases of filters of connections get no spans. */
export function buildConnectionTracing(whole: WrittenTracing, written: z.output<typeof connectionTracing> | undefined): RouteTracingConfig {
  return buildRouteTracing({ ...whole, filters: false }, written)
}
