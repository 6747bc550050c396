// Tells the service what tier a customer with so many points has.
import { Reply, Request, strings } from "sluice/sdk"

export function onRequest(request: Request): Reply | null {
  const text = request.headers.get("x-points")
  const points = text === null ? 0 : strings.int(text, 0)
  request.headers.set("x-tier", points >= 1000 ? "gold" : "silver")
  return null
}
