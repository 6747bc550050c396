// The two services behind the quickstart's gateway. Each says who it is and what reached it.

import { createServer, type Server } from "node:http"

/** Starts a service on 127.0.0.1; rejects when the port is taken. */
export function startService(name: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume()
    request.on("end", () => {
      const client = request.headers["x-client"]
      response.setHeader("content-type", "application/json")
      response.end(`${JSON.stringify({ service: name, path: request.url, ...(client === undefined ? {} : { client }) })}\n`)
    })
  })
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => resolve(server))
  })
}
