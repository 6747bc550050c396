import { afterEach, describe, expect, test } from "vitest"
import { parseBody } from "../../support/http-message.ts"
import { echoOrigin, Origin, staticOrigin } from "../../support/origin.ts"
import { exchange, get, RawClient } from "../../support/raw-client.ts"

let origin: Origin | null = null
afterEach(async () => {
  await origin?.stop()
  origin = null
})

describe("test support", () => {
  test("client and origin exchange pipelined requests cut into segments", async () => {
    origin = await echoOrigin()
    const client = await RawClient.connect(origin.port)
    await client.sendSegments([
      "GET /a HT",
      "TP/1.1\r\nhost: x\r\n\r\nPOST /b HTTP/1.1\r\nhost: x\r\ntransfer-enc",
      "oding: chunked\r\n\r\n3\r\nabc\r",
      "\n0\r\n\r\n",
    ])
    expect(JSON.parse((await client.readResponse()).text()).target).toBe("/a")
    expect(JSON.parse((await client.readResponse()).text())).toMatchObject({ method: "POST", target: "/b", body: "abc" })
    expect(origin.requests.map((request) => [request.connection, request.index])).toEqual([
      [0, 0],
      [0, 1],
    ])
    client.destroy()
  })

  test("client tells a reset from an orderly end", async () => {
    origin = await Origin.start((request, connection) => (request.target === "/reset" ? connection.reset() : connection.end()))
    const first = await RawClient.connect(origin.port)
    first.send("GET /reset HTTP/1.1\r\n\r\n")
    expect(await first.closed()).toBe("reset")
    const second = await RawClient.connect(origin.port)
    second.send("GET /end HTTP/1.1\r\n\r\n")
    expect(await second.closed()).toBe("end")
    second.destroy()
  })

  test("client reads on after its own half-close", async () => {
    origin = await staticOrigin("late")
    const client = await RawClient.connect(origin.port)
    client.send("GET / HTTP/1.1\r\n\r\n")
    client.end()
    expect((await client.readResponse()).text()).toBe("late")
    client.destroy()
  })

  test("client refuses a response that is cut short", async () => {
    origin = await Origin.start((_request, connection) => {
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive.")
      connection.end()
    })
    await expect(get(origin.port, "/")).rejects.toThrow("closed (end) before the rest of the response body")
  })

  test("client collects interim responses, chunks and trailers", async () => {
    origin = await Origin.start((_request, connection) =>
      connection.write(
        "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n",
      ),
    )
    const response = await get(origin.port, "/")
    expect(response.interim.map((head) => head.startLine)).toEqual(["HTTP/1.1 103 Early"])
    expect(response.text()).toBe("ok")
    expect(response.trailers).toEqual([["x-sum", "1"]])
  })

  test("origin answers at the head while the body is still coming", async () => {
    origin = await Origin.start((_request, connection) => connection.reply(413, "enough"), { answerAt: "head" })
    const response = await exchange(origin.port, "POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\npart")
    expect(response.status).toBe(413)
  })

  test("origin hands over what follows an upgrade", async () => {
    origin = await Origin.start((_request, connection) => connection.write("HTTP/1.1 101 Switching\r\nupgrade: echo\r\n\r\n"), {
      onTunnel: (data, connection) => connection.write(data),
    })
    const client = await RawClient.connect(origin.port)
    client.send("GET / HTTP/1.1\r\nupgrade: echo\r\n\r\nearly")
    expect((await client.readHead()).startLine).toBe("HTTP/1.1 101 Switching")
    expect((await client.readBytes(5)).toString()).toBe("early")
    client.destroy()
  })

  test("chunked bodies are read the same wherever they are cut", () => {
    const wire = Buffer.from("5\r\nhello\r\n6;x=1\r\n world\r\n0\r\na: b\r\n\r\n")
    for (let cut = 0; cut < wire.length; cut++) expect(parseBody(wire.subarray(0, cut), { kind: "chunked" }, false)).toBeNull()
    const body = parseBody(wire, { kind: "chunked" }, false)
    expect([body?.bytes.toString(), body?.trailers, body?.length]).toEqual(["hello world", [["a", "b"]], wire.length])
  })
})
