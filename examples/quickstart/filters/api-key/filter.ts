// A filter: a small program that Sluice runs on every request of a route. It is written in AssemblyScript, which reads
// like TypeScript and is compiled to WebAssembly when you save this file. Sluice then swaps it in without dropping a
// request; if it doesn't compile, the version before goes on serving and the log says what is wrong and where.
//
// This one asks for an API key, tells the service who is calling, and lets each client make a few requests per window.
import { Config, log, RateLimit, Reply, Request, Response, seconds } from "sluice/sdk"

// Module variables live as long as this version of the filter. `configure` fills them.
let clients = new Map<string, string>()
let limit = new RateLimit("api-key", 5, 10_000)

// Called once, with the `config:` of the filter in sluice.yaml. A key that is missing or of the wrong type is reported,
// and Sluice keeps the configuration it had.
export function configure(config: Config): void {
  const keys = config.group("keys")
  const names = keys.keys()
  if (names.length == 0) config.fail('"keys" must name at least one API key')
  for (let i = 0; i < names.length; i++) clients.set(names[i], keys.string(names[i]))

  limit = new RateLimit("api-key", config.int("requests", 5), config.duration("per", 10_000))
  log.info("knows " + names.length.toString() + " API keys")
}

// Called when a request's headers are here. Return a Reply to answer at once, null to let the request go on.
export function onRequest(request: Request): Reply | null {
  const key = request.headers.get("x-api-key")
  if (key === null) return new Reply(401, "send your API key in x-api-key\n")
  if (!clients.has(key)) return new Reply(403, "unknown API key\n")

  const client = clients.get(key)
  const wait = limit.take(client) // milliseconds; 0 = within the limit, which all workers of Sluice count together
  if (wait > 0) return new Reply(429, "slow down, " + client + "\n").header("retry-after", seconds(wait))

  request.headers.remove("x-api-key") // the service needs to know who calls, not the secret
  request.headers.set("x-client", client)
  return null
}

// Called when the response's headers are here. Try it: change the value and save.
export function onResponse(response: Response): void {
  response.headers.set("x-filtered-by", "api-key")
}
