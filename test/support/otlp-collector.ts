// A collector that speaks OTLP over HTTP: it reads protobuf by the specification's names and numbers, with another library than the one
// that wrote it. What it reads is a matter of those that are made of it.

import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import { fileURLToPath } from "node:url"
import { loadSync } from "@grpc/proto-loader"
import { listen } from "./ports.ts"

const services = loadSync(fileURLToPath(new URL("./otlp.proto", import.meta.url)), { longs: String, defaults: true, oneofs: true })

/** Reads the body of an export. */
export function exportReader(service: "TraceService" | "LogsService"): (body: Buffer) => object {
  return (services[`otlp.${service}`] as unknown as { Export: { requestDeserialize(bytes: Buffer): object } }).Export.requestDeserialize
}

export abstract class OtlpCollector {
  readonly #server: Server
  /** Of each export. */
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = []
  /** What it answers; other than 200: it has taken nothing. */
  status = 200
  /** `http://host:port`. */
  url = ""

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        this.requests.push({ path: request.url ?? "", headers: request.headers })
        if (this.status === 200) this.take(Buffer.concat(chunks))
        response.writeHead(this.status, { "content-type": "application/x-protobuf" }).end()
      })
    })
  }

  protected abstract take(body: Buffer): void

  protected async listen(port: number): Promise<this> {
    const address = await listen(this.#server, port)
    this.url = `http://${address.host}:${address.port}`
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}
