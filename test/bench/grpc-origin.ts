// A gRPC server that answers every call with what it was sent. Run as a child by origins.ts: `node grpc-origin.ts PORT`.

import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js"
import { callPath } from "./scenarios.ts"

const same = (message: Buffer): Buffer => message

const server = new Server()
server.addService(
  {
    echo: {
      path: callPath,
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  },
  { echo: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, call.request) },
)
server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error
})
