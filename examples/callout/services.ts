// The service behind the gateway, and the one that knows tokens, for the callout example.

import { createServer } from "node:http"

const users: Readonly<Record<string, string>> = { "Bearer t-alice": "alice", "Bearer t-bob": "bob" }

createServer((request, response) => {
  request.resume()
  response.end(`hello ${request.headers["x-user"]}\n`)
}).listen(9031, "127.0.0.1")

createServer((request, response) => {
  request.resume()
  const user = users[request.headers.authorization ?? ""]
  response.statusCode = user === undefined ? 403 : 200
  response.end(JSON.stringify({ user }))
}).listen(9032, "127.0.0.1")
