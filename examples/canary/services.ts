// Two versions of a service, for the canary example.

import { createServer } from "node:http"

for (const [port, version] of [
  [9011, "stable"],
  [9012, "canary"],
] as const) {
  createServer((request, response) => {
    request.resume()
    response.end(`${version}\n`)
  }).listen(port, "127.0.0.1")
}
