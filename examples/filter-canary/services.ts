// The service of the filter-canary example: it tells customers what tier the gateway says they have.

import { createServer } from "node:http"

createServer((request, response) => {
  request.resume()
  response.end(`${request.headers["x-tier"] ?? "no tier"}\n`)
}).listen(9041, "127.0.0.1")
