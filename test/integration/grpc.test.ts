// gRPC end to end through the gateway, with the official client and server: every kind of call, large messages, what goes wrong.

import * as grpc from "@grpc/grpc-js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until, within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { freePort } from "../support/ports.ts"

const MIB = 1024 * 1024
const same = (bytes: Buffer): Buffer => bytes

function method(path: string, requestStream: boolean, responseStream: boolean): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path: `/test.Echo/${path}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
}

const service = {
  unary: method("Unary", false, false),
  upload: method("Upload", true, false),
  download: method("Download", false, true),
  both: method("Both", true, true),
  fails: method("Fails", false, false),
  waits: method("Waits", false, false),
}
const Client = grpc.makeGenericClientConstructor(service, "Echo")

let server: grpc.Server
let gateway: Gateway
let client: InstanceType<typeof Client>
/** Calls the server has seen end without an answer. */
let cancelled = 0

beforeAll(async () => {
  server = new grpc.Server({ "grpc.max_receive_message_length": 16 * MIB })
  server.addService(service, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
      const trailers = new grpc.Metadata()
      trailers.set("x-trailer", "from the end")
      trailers.set("x-octets-bin", Buffer.from([0, 1, 254, 255]))
      const initial = new grpc.Metadata()
      initial.set("x-initial", String(call.metadata.get("x-request")[0] ?? ""))
      call.sendMetadata(initial)
      callback(null, call.request, trailers)
    },
    upload: (call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
      let octets = 0
      call.on("data", (bytes: Buffer) => {
        octets += bytes.length
      })
      call.on("end", () => callback(null, Buffer.from(String(octets))))
    },
    download: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let i = 0; i < Number(call.request.toString()); i++) call.write(Buffer.from(`message ${i}`))
      call.end()
    },
    both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on("data", (bytes: Buffer) => call.write(bytes))
      call.on("end", () => call.end())
    },
    fails: (_call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
      const metadata = new grpc.Metadata()
      metadata.set("x-reason", "because")
      callback({ code: grpc.status.FAILED_PRECONDITION, details: "not now: 100% \u00e4\u20ac", metadata })
    },
    waits: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => {
      call.on("cancelled", () => {
        cancelled++
      })
    },
  })
  const port = await within(
    new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    ),
    "the gRPC server",
  )
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      accessLog: "all",
      listeners: [{ address: "127.0.0.1:0" }],
      services: {
        echo: { endpoints: [`127.0.0.1:${port}`], protocol: "h2" },
        gone: { endpoints: [`127.0.0.1:${await freePort()}`], protocol: "h2" },
      },
      routes: [
        { match: { path: "/test.Echo" }, backends: "echo" },
        { match: { path: "/test.Gone" }, backends: "gone" },
      ],
    },
  })
  client = new Client(`127.0.0.1:${gateway.port()}`, grpc.credentials.createInsecure(), { "grpc.max_receive_message_length": 16 * MIB })
})

afterAll(async () => {
  client?.close()
  await gateway?.kill()
  server?.forceShutdown()
})

interface Outcome {
  readonly error: grpc.ServiceError | null
  readonly response?: Buffer
  readonly initial: grpc.Metadata
  readonly status: grpc.StatusObject
}

function call(path: string, request: Buffer, metadata = new grpc.Metadata(), options: grpc.CallOptions = {}): Promise<Outcome> {
  const ended = new Promise<Outcome>((resolve) => {
    let initial = new grpc.Metadata()
    let answer: { error: grpc.ServiceError | null; response?: Buffer } | null = null
    let status: grpc.StatusObject | null = null
    const finish = (): void => {
      if (answer !== null && status !== null) resolve({ ...answer, initial, status })
    }
    const running = client.makeUnaryRequest(path, same, same, request, metadata, options, (error, response) => {
      answer = { error, response: response as Buffer | undefined }
      finish()
    })
    running.on("metadata", (received) => {
      initial = received
    })
    running.on("status", (received) => {
      status = received
      finish()
    })
  })
  return within(ended, `end of ${path}`, 20_000)
}

describe("gRPC through the gateway", () => {
  test("unary, with metadata both ways", async () => {
    const metadata = new grpc.Metadata()
    metadata.set("x-request", "asked")
    const { response, initial, status } = await call("/test.Echo/Unary", Buffer.from("hello"), metadata)
    expect(response?.toString()).toBe("hello")
    expect(initial.get("x-initial")).toEqual(["asked"])
    expect([status.code, status.metadata.get("x-trailer")]).toEqual([grpc.status.OK, ["from the end"]])
    expect(Buffer.from(status.metadata.get("x-octets-bin")[0] as Buffer)).toEqual(Buffer.from([0, 1, 254, 255]))
  })

  test("messages of 4 MiB, both ways, several at once", async () => {
    const large = Buffer.alloc(4 * MIB, "0123456789abcdef!")
    const outcomes = await Promise.all([1, 2, 3].map(() => call("/test.Echo/Unary", large)))
    for (const { response, status } of outcomes) {
      expect(status.code).toBe(grpc.status.OK)
      expect(response?.equals(large)).toBe(true)
    }
  })

  test("200 calls at once", async () => {
    const outcomes = await Promise.all(Array.from({ length: 200 }, (_, i) => call("/test.Echo/Unary", Buffer.from(`call ${i}`))))
    expect(outcomes.map(({ response }) => response?.toString())).toEqual(Array.from({ length: 200 }, (_, i) => `call ${i}`))
  })

  test("a stream of requests", async () => {
    const answered = new Promise<string>((resolve, reject) => {
      const upload = client.makeClientStreamRequest("/test.Echo/Upload", same, same, new grpc.Metadata(), {}, (error, response) =>
        error === null ? resolve(String(response)) : reject(error),
      )
      for (let i = 0; i < 100; i++) upload.write(Buffer.alloc(10_000))
      upload.end()
    })
    expect(await within(answered, "the answer")).toBe("1000000")
  })

  test("a stream of responses", async () => {
    const download = client.makeServerStreamRequest("/test.Echo/Download", same, same, Buffer.from("500"), new grpc.Metadata(), {})
    const texts: string[] = []
    download.on("data", (bytes: Buffer) => texts.push(bytes.toString()))
    await within(new Promise((resolve, reject) => download.on("end", () => resolve(null)).on("error", reject)), "the end of the stream")
    expect([texts.length, texts[499]]).toEqual([500, "message 499"])
  })

  test("both at once, each answered before the next is sent", async () => {
    const both = client.makeBidiStreamRequest("/test.Echo/Both", same, same, new grpc.Metadata(), {})
    const texts: string[] = []
    const ended = new Promise((resolve, reject) => both.on("end", () => resolve(null)).on("error", reject))
    both.on("data", (bytes: Buffer) => {
      texts.push(bytes.toString())
      if (texts.length < 50) both.write(Buffer.from(`turn ${texts.length}`))
      else both.end()
    })
    both.write(Buffer.from("turn 0"))
    await within(ended, "the end of the conversation")
    expect([texts.length, texts[49]]).toEqual([50, "turn 49"])
  })

  test("a status that is an error, with its details and metadata", async () => {
    const { error, status } = await call("/test.Echo/Fails", Buffer.from("x"))
    expect([error?.code, status.details, status.metadata.get("x-reason")]).toEqual([
      grpc.status.FAILED_PRECONDITION,
      "not now: 100% \u00e4\u20ac",
      ["because"],
    ])
  })

  test("a method that isn't there is the server's answer", async () => {
    expect((await call("/test.Echo/Nothing", Buffer.from("x"))).error?.code).toBe(grpc.status.UNIMPLEMENTED)
  })

  test("a deadline cancels the call at the server", async () => {
    const before = cancelled
    const { error } = await call("/test.Echo/Waits", Buffer.from("x"), new grpc.Metadata(), { deadline: Date.now() + 300 })
    expect(error?.code).toBe(grpc.status.DEADLINE_EXCEEDED)
    await until(() => cancelled === before + 1, "cancellation at the server")
  })

  test("a client that cancels cancels at the server", async () => {
    const before = cancelled
    const code = new Promise<number | undefined>((resolve) => {
      const waiting = client.makeUnaryRequest("/test.Echo/Waits", same, same, Buffer.from("x"), new grpc.Metadata(), {}, (error) =>
        resolve(error?.code),
      )
      setTimeout(() => waiting.cancel(), 100)
    })
    expect(await within(code, "the end of the call")).toBe(grpc.status.CANCELLED)
    await until(() => cancelled === before + 1, "cancellation at the server")
  })

  test("the gateway's own answers are gRPC statuses", async () => {
    expect((await call("/test.Gone/Unary", Buffer.from("x"))).error?.code).toBe(grpc.status.UNAVAILABLE)
    expect((await call("/test.Nowhere/Unary", Buffer.from("x"))).error?.code).toBe(grpc.status.UNIMPLEMENTED)
  })
})
