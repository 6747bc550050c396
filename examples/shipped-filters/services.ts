// The service behind the shipped filters: it says who calls.

import { createServer } from "node:http"

createServer((request, response) => {
  request.resume()
  response.end(`hello ${request.headers["x-client"] ?? "nobody"}\n`)
}).listen(9051, "127.0.0.1")
