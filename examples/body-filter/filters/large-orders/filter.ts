// Reads an order's JSON body and sends large orders to a service of their own.
import { Body, Config, Reply, Request } from "sluice/sdk"

let field = "total"
let least: f64 = 1000
let service = ""

export function configure(config: Config): void {
  field = config.string("field", field)
  least = config.number("least", least)
  service = config.string("service") // required: without it the configuration is refused
}

// Called when the headers are here. What is no JSON passes as it comes, without being kept back.
export function onRequest(request: Request): Reply | null {
  const type = request.headers.get("content-type")
  if (type === null || !type.startsWith("application/json")) request.skipBody()
  return null
}

// Called when the whole body is here. The headers have not left yet, so path, headers and service can still be changed.
export function onRequestBody(request: Request, body: Body): Reply | null {
  const order = body.json()
  if (!order.valid) return new Reply(400, order.error + "\n")
  if (order.find(field).asNumber(0) >= least) request.route.service = service
  return null
}
