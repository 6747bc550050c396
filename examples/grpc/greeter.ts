// A gRPC service whose messages are plain text, so that nothing has to be generated: hello.Greeter, with its health.

import { Buffer } from "node:buffer"
import { type MethodDefinition, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js"

const asIs = (bytes: Buffer): Buffer => bytes

function unary(path: string): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  }
}

export const say: MethodDefinition<Buffer, Buffer> = unary("/hello.Greeter/Say")
const check = unary("/grpc.health.v1.Health/Check")

/** SERVING, as grpc.health.v1 has it. */
const SERVING = Buffer.from([8, 1])

/** One instance: `flaky` ones answer UNAVAILABLE to everything. Port 0 lets the system choose. */
export async function startGreeter(port: number, flaky: boolean): Promise<{ readonly port: number; stop(): void }> {
  const server = new Server()
  server.addService(
    { say, check },
    {
      say: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
        const name = call.request.toString()
        if (flaky) answer({ code: status.UNAVAILABLE, details: "busy" })
        // The caller's deadline ends it.
        else if (name !== "nobody") answer(null, Buffer.from(`hello ${name}`))
      },
      check: (_: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, SERVING),
    },
  )
  const bound = await new Promise<number>((resolve, reject) => {
    const credentials = ServerCredentials.createInsecure()
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, actual) => (error === null ? resolve(actual) : reject(error)))
  })
  return { port: bound, stop: () => server.forceShutdown() }
}
