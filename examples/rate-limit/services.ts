// The service behind the gateway, for the rate-limit example.

import { createServer } from "node:http"

createServer((request, response) => {
  request.resume()
  response.end(`${request.url}\n`)
}).listen(9091, "127.0.0.1")
