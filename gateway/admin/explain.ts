// Explanations in the admin API: what would be done with a request, and why. Nothing is sent, and nothing changes.

import { createRoute, z } from "@hono/zod-openapi"
import type { ExplainRequest, Explanation, Outcome } from "../explain/explanation.ts"
import { outcomeLines } from "../explain/outcome-lines.ts"
import { json, refusal, type TopicApp, topicApp } from "./topic.ts"

export interface ExplainDeps {
  /** A text: why it can't be said. */
  explain(request: ExplainRequest): Promise<Explanation | string>
}

/** More than listeners take, so that what they refuse for its size can be asked about too. */
const MAX_URL = 64 * 1024
const MAX_FIELDS = 1000
const MAX_NAME = 1024
const MAX_OTHERS = 100

const asked = z
  .strictObject({
    method: z.string().min(1).max(MAX_NAME),
    url: z.string().min(1).max(MAX_URL).describe("http://host:port/path?query, or a path alone"),
    headers: z
      .array(z.tuple([z.string().max(MAX_NAME), z.string().max(MAX_URL)]))
      .max(MAX_FIELDS)
      .optional()
      .describe("Names and values, as they would be sent"),
    listener: z.string().max(MAX_NAME).optional().describe("Name of the one it comes by; without it, the one its URL leads to"),
    source: z.string().max(MAX_NAME).optional().describe("Address of the client; 127.0.0.1 without it"),
    identity: z.string().max(MAX_NAME).optional().describe("Identity of the client, by its certificate"),
    serverName: z.string().max(MAX_NAME).optional().describe("Name the TLS handshake asks for; without it the host of the URL"),
    others: z.number().int().min(0).max(MAX_OTHERS).optional().describe("Routes not taken that are told of, 10 without it"),
  })
  .openapi("ExplainRequest")

const verdict = z
  .object({
    ok: z.boolean().describe("It would be forwarded, or answered as it is configured"),
    status: z.number().nullable().describe("null: what the service answers"),
    grpcStatus: z.number().nullable().describe("Of a call that is refused; else null"),
    code: z.string().describe("Row of the table of errors"),
    flag: z.string().describe("Response flag"),
    text: z.string(),
  })
  .openapi("Verdict")

const explanation = z
  .object({
    generation: z.number().describe("Of the configuration"),
    method: z.string(),
    url: z.string(),
    verdict,
    listeners: z
      .array(z.object({ name: z.string(), address: z.string(), protocol: z.string(), chosen: z.boolean(), why: z.string() }))
      .readonly(),
    outcomes: z
      .array(
        z.custom<Outcome>().openapi({
          type: "object",
          description:
            "At one listener: verdict, path (asked, normal, changes), route and match, others (routes not taken: reason, expected, actual), odds, settings, filters, action, service (policy, endpoints, order), sent; and `lines`, the same in words",
        }),
      )
      .readonly(),
  })
  .openapi("Explanation")

const order = createRoute({
  method: "post",
  path: "/",
  summary: "what would be done with a request, and why",
  request: { body: { content: { "application/json": { schema: asked } }, required: true } },
  responses: {
    200: json(explanation, "What would be done"),
    400: json(refusal, "It is no request that can be asked about"),
  },
})

export function explain(deps: ExplainDeps): TopicApp {
  const app = topicApp()
  app.openapi(order, async (c) => {
    const said = await deps.explain(c.req.valid("json"))
    if (typeof said === "string") return c.json({ error: said }, 400)
    const outcomes = said.outcomes.map((outcome) => ({ ...outcome, lines: outcomeLines(outcome, said.listeners) }))
    return c.json({ ...said, outcomes }, 200)
  })
  return app
}
