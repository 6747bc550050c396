// Two servers that say which one they are, for the discovery example.

import { createServer } from "node:http"

for (const [port, name] of [
  [9073, "first"],
  [9074, "second"],
] as const) {
  createServer((request, response) => {
    request.resume()
    response.end(`${name}\n`)
  }).listen(port, "127.0.0.1")
}
