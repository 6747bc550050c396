// A rate-limit service as others run it: @grpc/grpc-js with messages made from Envoy's names and numbers of fields, not by the
// gateway's own codec.

import { fileURLToPath } from "node:url"
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js"
import { loadSync } from "@grpc/proto-loader"

export interface RlsRequest {
  readonly domain: string
  readonly descriptors: readonly { readonly entries: readonly { readonly key: string; readonly value: string }[] }[]
  readonly hits_addend: number
}

/** What it answers; "error": a status; "silence": nothing. */
export type RlsAnswer = object | "error" | "silence"

type Definition = Parameters<Server["addService"]>[0]

export class RateLimitService {
  readonly #server = new Server()
  /** `host:port`. */
  address = ""
  readonly requests: RlsRequest[] = []
  answer: (request: RlsRequest) => RlsAnswer = () => ({ overall_code: "OK" })

  static async start(): Promise<RateLimitService> {
    const service = new RateLimitService()
    const file = fileURLToPath(new URL("./rls.proto", import.meta.url))
    const definitions = loadSync(file, { keepCase: true, longs: Number, enums: String, defaults: true })
    service.#server.addService(definitions["envoy.service.ratelimit.v3.RateLimitService"] as Definition, {
      ShouldRateLimit: (call: ServerUnaryCall<RlsRequest, object>, answer: sendUnaryData<object>) => {
        service.requests.push(call.request)
        const said = service.answer(call.request)
        if (said === "error") answer({ code: status.UNAVAILABLE, details: "not now" })
        else if (said !== "silence") answer(null, said as object)
      },
    })
    const port = await new Promise<number>((resolve, reject) => {
      service.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    service.address = `127.0.0.1:${port}`
    return service
  }

  stop(): void {
    this.#server.forceShutdown()
  }
}
