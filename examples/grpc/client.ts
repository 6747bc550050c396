// Says hello through the gateway: `client.ts NAME [MILLISECONDS]`.

import { Buffer } from "node:buffer"
import { Client, credentials, Metadata } from "@grpc/grpc-js"
import { say } from "./greeter.ts"

const [name = "world", deadline = "5000"] = process.argv.slice(2)
const client = new Client(process.env.GREETER ?? "127.0.0.1:8091", credentials.createInsecure())
client.makeUnaryRequest(
  say.path,
  say.requestSerialize,
  say.responseDeserialize,
  Buffer.from(name),
  new Metadata(),
  { deadline: Date.now() + Number(deadline) },
  (error, answer) => {
    console.log(error === null ? answer?.toString() : `${error.code}: ${error.details}`)
    client.close()
  },
)
