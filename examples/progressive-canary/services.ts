// Two versions of a service, for the progressive-canary example. The new one fails as long as it is told to.

import { createServer } from "node:http"

let broken = false

for (const [port, version] of [
  [9071, "stable"],
  [9072, "canary"],
] as const) {
  createServer((request, response) => {
    request.resume()
    if (request.url === "/break" || request.url === "/repair") broken = request.url === "/break"
    else if (version === "canary" && broken) response.statusCode = 500
    response.end(response.statusCode === 200 ? `${version}\n` : "it fails\n")
  }).listen(port, "127.0.0.1")
}
