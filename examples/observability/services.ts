// The services of the observability example: a shop, and two endpoints of its orders, one of which fails every request.

import { createServer } from "node:http"

for (const [port, answer, status] of [
  [9111, "shop", 200],
  [9112, "orders", 200],
  [9113, "out of order", 500],
] as const) {
  createServer((request, response) => {
    request.resume()
    response.writeHead(status).end(`${answer}\n`)
  }).listen(port, "127.0.0.1")
}
