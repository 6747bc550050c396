// A gRPC service and a client of @grpc/grpc-js whose messages are plain text, so that nothing has to be generated.

import { Buffer } from "node:buffer"
import type { EventEmitter } from "node:events"
import {
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js"

function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<string, string> {
  return {
    path: `/test.Text/${name}`,
    requestStream,
    responseStream,
    requestSerialize: (text) => Buffer.from(text),
    requestDeserialize: (bytes) => bytes.toString(),
    responseSerialize: (text) => Buffer.from(text),
    responseDeserialize: (bytes) => bytes.toString(),
  }
}

const methods = {
  Say: method("Say", false, false),
  Count: method("Count", false, true),
  Chat: method("Chat", true, true),
}

/** What a unary call is answered with. */
export type Say = (call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>) => void

/** Answers `Say` as the test says, `Count` with the numbers up to the one it is given, `Chat` with every message it gets. */
export class TextService {
  readonly #server = new Server()
  /** `host:port`. */
  address = ""
  calls = 0
  say: Say = (call, answer) => answer(null, call.request)
  /** Of grpc.health.v1: 1 = serving, 2 = not. */
  health = 1
  /** Names it was asked about. */
  readonly healthAsked: string[] = []

  static async start(): Promise<TextService> {
    const service = new TextService()
    const server = service.#server
    server.addService(methods, {
      Say: (call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>) => {
        service.calls++
        service.say(call, answer)
      },
      Count: (call: ServerWritableStream<string, string>) => {
        for (let i = 1; i <= Number(call.request); i++) call.write(String(i))
        call.end()
      },
      Chat: (call: ServerDuplexStream<string, string>) => {
        call.on("data", (text: string) => call.write(`re: ${text}`))
        call.on("end", () => call.end())
      },
    })
    const check: MethodDefinition<Buffer, Buffer> = {
      path: "/grpc.health.v1.Health/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: (bytes) => bytes,
      requestDeserialize: (bytes) => bytes,
      responseSerialize: (bytes) => bytes,
      responseDeserialize: (bytes) => bytes,
    }
    server.addService(
      { Check: check },
      {
        Check: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
          service.healthAsked.push(call.request.toString("latin1", 2))
          answer(null, Buffer.from([8, service.health]))
        },
      },
    )
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
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

/** How a call ended. */
export interface Ended {
  readonly code: number
  readonly details: string
  readonly messages: readonly string[]
}

export class TextClient {
  readonly #client: Client

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  }

  say(text: string, deadline = 10_000, metadata: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const { path, requestSerialize, responseDeserialize } = methods.Say
    return new Promise((resolve) => {
      const fields = new Metadata()
      for (const [name, value] of Object.entries(metadata)) fields.set(name, value)
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        text,
        fields,
        { deadline: Date.now() + deadline },
        (error: ServiceError | null, answer?: string) =>
          resolve(
            error === null
              ? { code: status.OK, details: "", messages: [answer ?? ""] }
              : { code: error.code, details: error.details, messages: [] },
          ),
      )
    })
  }

  count(to: number): Promise<Ended> {
    const { path, requestSerialize, responseDeserialize } = methods.Count
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, String(to))
    return ended(call)
  }

  /** Sends the messages one by one, each when the one before was answered. */
  async chat(texts: readonly string[]): Promise<Ended> {
    const { path, requestSerialize, responseDeserialize } = methods.Chat
    const call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    let next = 0
    const send = (): void => {
      if (next < texts.length) call.write(texts[next++])
      else call.end()
    }
    call.on("data", send)
    send()
    return ended(call)
  }

  close(): void {
    this.#client.close()
  }
}

function ended(call: EventEmitter): Promise<Ended> {
  const messages: string[] = []
  call.on("data", (text: string) => messages.push(text))
  call.on("error", () => {})
  return new Promise((resolve) => {
    call.on("status", ({ code, details }: { code: number; details: string }) => resolve({ code, details, messages }))
  })
}
