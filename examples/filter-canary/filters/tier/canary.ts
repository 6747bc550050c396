// The new version: a third tier, out of a table. It forgets those with 3000 points and more, whose index is outside of it.
import { Reply, Request, strings } from "sluice/sdk"

const tiers = ["silver", "gold", "platinum"]

export function onRequest(request: Request): Reply | null {
  const text = request.headers.get("x-points")
  const points = text === null ? 0 : strings.int(text, 0)
  request.headers.set("x-tier", tiers[<i32>(points / 1000)])
  return null
}
