// The bench's header filter: looks one field up, refuses without it, sets another. The nginx and HAProxy set-ups do the same.

import { Reply, Request } from "sluice/sdk"

export function onRequest(request: Request): Reply | null {
  if (request.headers.get("x-api-key") === null) return new Reply(401, "missing x-api-key")
  request.headers.set("x-filtered", "yes")
  return null
}
