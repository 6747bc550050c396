// `sluice explain`: what a gateway would do with a request, and why; or what a response flag means.

import type { ExplainRequest, Explanation } from "../explain/explanation.ts"
import { findFlags } from "../telemetry/flag-guide.ts"
import { adminArgument, askAdmin, jsonOrder, refusalOf } from "./admin-client.ts"
import { type Command, command, every, UsageError, type Values } from "./command.ts"
import { explanationText, flagText } from "./explain-text.ts"
import { offlineExplainer } from "./offline.ts"

export const explain: Command = command({
  name: "explain",
  description: "Say what a gateway would do with a request, and why; or what a response flag means (sluice explain NR)",
  args: {
    method: { type: "positional", description: "GET, POST …; or a response flag alone", required: true },
    url: { type: "positional", description: "http://host:port/path?query, or a path", required: false },
    header: { type: "string", alias: "H", description: "A header of the request; may be repeated", valueHint: "NAME: VALUE" },
    listener: { type: "string", description: "Listener it comes by, where the URL doesn't tell", valueHint: "NAME" },
    source: { type: "string", description: "Address of the client", valueHint: "ADDRESS" },
    identity: { type: "string", description: "Identity of the client, by its certificate", valueHint: "ID" },
    "server-name": { type: "string", description: "Name the TLS handshake asks for", valueHint: "NAME" },
    others: { type: "string", description: "Routes not taken that are told of (10)", valueHint: "N" },
    config: { type: "string", alias: "c", description: "Configuration to go by, instead of a running gateway", valueHint: "FILE" },
    ...adminArgument,
    json: { type: "boolean", description: "As JSON", default: false },
  },
  repeated: ["header"],
  examples: [
    "sluice explain GET http://shop.example.com/api/items",
    "sluice explain POST /api/items -H 'host: shop.example.com' -H 'x-beta: 1' --listener edge",
    "sluice explain GET /api -c sluice.yaml",
    "sluice explain UF",
  ],
  run: async (args) => {
    const method = String(args.method)
    if (args.url === undefined && !/^(?:\/|https?:)/i.test(method)) return explainFlag(method, args.json === true)
    const request = requestOf(args, method)
    let said: Explanation
    try {
      said = typeof args.config === "string" ? await ofFile(args.config, request) : await ofGateway(args, request)
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
    process.stdout.write(args.json === true ? `${JSON.stringify(said, null, 2)}\n` : explanationText(said))
    return said.verdict.ok && said.outcomes.every(({ verdict }) => verdict.ok) ? 0 : 1
  },
})

function explainFlag(word: string, json: boolean): number {
  const rows = findFlags(word)
  if (rows.length === 0) throw new UsageError(`${JSON.stringify(word)} is no response flag; for a request write its method and URL`)
  process.stdout.write(json ? `${JSON.stringify(rows, null, 2)}\n` : rows.map(flagText).join("\n"))
  return 0
}

function requestOf(args: Values, first: string): ExplainRequest {
  const value = (name: string): string | undefined => (typeof args[name] === "string" ? args[name] : undefined)
  const others = value("others")
  if (others !== undefined && !/^\d{1,3}$/.test(others)) throw new UsageError("--others: write a number up to 100")
  return {
    // A URL alone is asked for.
    method: args.url === undefined ? "GET" : first,
    url: value("url") ?? first,
    headers: every(args, "header").map(headerOf),
    listener: value("listener"),
    source: value("source"),
    identity: value("identity"),
    serverName: value("server-name"),
    others: others === undefined ? undefined : Math.min(100, Number(others)),
  }
}

function headerOf(text: string): [string, string] {
  const colon = text.indexOf(":", 1)
  if (colon < 0) throw new UsageError(`-H ${JSON.stringify(text)}: write 'name: value'`)
  return [text.slice(0, colon), text.slice(colon + 1).trim()]
}

async function ofFile(file: string, request: ExplainRequest): Promise<Explanation> {
  const said = (await offlineExplainer(file)).explain(request)
  if (typeof said === "string") throw new UsageError(said)
  return said
}

async function ofGateway(args: Values, request: ExplainRequest): Promise<Explanation> {
  const answer = await askAdmin(args, "/explain", jsonOrder("POST", request))
  if (answer.status === 400) throw new UsageError(String(answer.body.error))
  if (answer.status !== 200) throw new Error(refusalOf(answer.status, answer.body))
  return answer.body as unknown as Explanation
}
