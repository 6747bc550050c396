// gRPC callouts of filters, to a service of @grpc/grpc-js: from the guest to HTTP/2 and back.

import { status } from "@grpc/grpc-js"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { TextService } from "../support/grpc-service.ts"
import { type Origin, staticOrigin } from "../support/origin.ts"
import { get } from "../support/raw-client.ts"
import { guest } from "../unit/wasm/support/wat.ts"

const ASK = `import { GrpcAnswer, GrpcCall, Reply, Request } from "sluice/sdk"

export function onRequest(request: Request): Reply | null {
  const call = new GrpcCall("text", "test.Text", "Say").message(request.path).metadata("x-from", "filter")
  call.timeout = 300
  call.send(answered)
  return null
}

function answered(request: Request, answer: GrpcAnswer): Reply | null {
  return new Reply(answer.ok ? 200 : 503, answer.code.toString() + " " + answer.text() + answer.failure)
}
`

/** Opens a stream at its start, sends "4", and logs every message, and "closed" with the status as a digit. */
const streaming = guest({
  imports: ["proxy_log", "proxy_grpc_stream", "proxy_grpc_send", "proxy_get_buffer_bytes"],
  data: { 256: "text", 272: "test.Text", 288: "Count", 304: "4", 320: "closed ?" },
  code: `
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $proxy_grpc_stream (i32.const 256) (i32.const 4) (i32.const 272) (i32.const 9) (i32.const 288) (i32.const 5)
        (i32.const 0) (i32.const 0) (i32.const 16)))
      (drop (call $proxy_grpc_send (i32.load (i32.const 16)) (i32.const 304) (i32.const 1) (i32.const 1)))
      (i32.const 1))
    (func (export "proxy_on_grpc_receive") (param i32 i32 i32)
      (drop (call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 100) (i32.const 20) (i32.const 24)))
      (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 20)) (i32.load (i32.const 24)))))
    (func (export "proxy_on_grpc_close") (param i32 i32 i32)
      (i32.store8 (i32.const 327) (i32.add (i32.const 48) (local.get 2)))
      (drop (call $proxy_log (i32.const 2) (i32.const 320) (i32.const 8))))`,
})

let text: TextService
let origin: Origin
let gateway: Gateway

beforeAll(async () => {
  text = await TextService.start()
  origin = await staticOrigin("origin")
  gateway = await Gateway.start({
    files: { "ask.ts": ASK, "streaming.wasm": streaming },
    config: {
      admin: false,
      workers: 1,
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: { text: { endpoints: [text.address], protocol: "h2" }, origin: { endpoints: [origin.address] } },
      filters: {
        ask: { module: "./ask.ts" },
        "ask-nobody": { module: "./ask.ts", permissions: { services: [] } },
        streaming: { module: "./streaming.wasm" },
      },
      routes: [
        { match: { path: "/ask" }, filters: ["ask"], backends: "origin" },
        { match: { path: "/denied" }, filters: ["ask-nobody"], backends: "origin" },
        { match: { path: "/streaming" }, filters: ["streaming"], backends: "origin" },
      ],
    },
    startLimit: 60_000,
  })
}, 60_000)

beforeEach(() => {
  text.say = (call, answer) => answer(null, `${call.metadata.get("x-from")[0]} says ${call.request}`)
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
  text.stop()
})

async function ask(path = "/ask"): Promise<string> {
  const response = await get(gateway.port("edge"), path)
  return `${response.status}: ${response.text()}`
}

describe("a filter's call of a gRPC service", () => {
  test("is answered while the exchange waits", async () => {
    expect(await ask("/ask/me")).toBe("200: 0 filter says /ask/me")
  })

  test("hears of the status it was refused with", async () => {
    text.say = (_, answer) => answer({ code: status.PERMISSION_DENIED, details: "not you" })
    expect(await ask()).toBe("503: 7 not you")
  })

  test("has its deadline", async () => {
    text.say = () => {}
    expect(await ask()).toMatch(/^503: 4 /)
  })

  test("needs the permission for the service", async () => {
    expect(await ask("/denied")).toBe("503: 14 it could not be sent")
  })
})

test("a filter's stream brings every message, and its end", async () => {
  const lines = await until(() => {
    const found = gateway.log.map(({ message }) => message).filter((message) => /^(?:\d|closed \d)$/.test(message))
    return found.includes("closed 0") ? found : null
  }, "the end of the stream")
  expect(lines).toEqual(["1", "2", "3", "4", "closed 0"])
})
