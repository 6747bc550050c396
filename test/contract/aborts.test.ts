import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { RawClient } from "../support/raw-client.ts"
import { StreamClient } from "../support/stream-client.ts"
import { type Arrival, StreamOrigin } from "../support/stream-origin.ts"
import { sendBody } from "../support/traffic.ts"

const MIB = 1024 * 1024
const EXCHANGES = 200

let origin: StreamOrigin
let gateway: Gateway

function truncated(arrival: Arrival, wire: string): void {
  const reset = arrival.target.endsWith("reset")
  arrival.socket.write(wire, () => {
    // A reset right behind octets may overtake them.
    if (reset) setTimeout(() => arrival.socket.resetAndDestroy(), 30)
    else arrival.socket.end()
  })
}

/** A reply that only the request's token can have asked for: repeated, in pieces, of a length that the token gives. */
function answerTo(token: string): string {
  return `${token};`.repeat(50 + (Number.parseInt(token.slice(0, 4), 36) % 2000))
}

function script(arrival: Arrival): void {
  const { socket } = arrival
  const [, what, token] = arrival.target.split("/")
  switch (what) {
    case "waits":
      return
    case "download":
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
      void sendBody(socket, "d", 512 * MIB, { chunked: true }).catch(() => {})
      return
    case "length":
      return truncated(arrival, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfar too short")
    case "chunked":
      return truncated(arrival, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nfar too short\r\n")
    case "chunk":
      return truncated(arrival, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nfar too short")
    case "trailers":
      return truncated(arrival, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nfar too short\r\n0\r\nx: y\r\n")
    case "close":
      return truncated(arrival, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfar too short")
    case "malformed":
      truncated(arrival, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nfar too short\r\nxyz\r\n")
      return
    case "malformed-later":
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nfar too short\r\n")
      setTimeout(() => truncated(arrival, "xyz\r\n"), 30)
      return
    case "head":
      return truncated(arrival, "HTTP/1.1 200 OK\r\ncontent-le")
    case "nothing":
      return truncated(arrival, "")
    case "token": {
      const body = answerTo(token)
      const cut = body.length >> 1
      void arrival.complete.then(
        () => {
          const chunked = token.endsWith("c")
          const frame = (text: string): string => (chunked ? `${text.length.toString(16)}\r\n${text}\r\n` : text)
          const framing = chunked ? "transfer-encoding: chunked" : `content-length: ${body.length}`
          setTimeout(
            () => {
              socket.write(`HTTP/1.1 200 OK\r\nx-token: ${token}\r\n${framing}\r\n\r\n${frame(body.slice(0, cut))}`)
              setImmediate(() => socket.write(`${frame(body.slice(cut))}${chunked ? "0\r\n\r\n" : ""}`))
            },
            Number.parseInt(token.slice(2, 4), 36) % 20,
          )
        },
        () => {},
      )
      return
    }
  }
}

beforeAll(async () => {
  origin = await StreamOrigin.start(script)
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      listeners: [{ name: "main", address: "127.0.0.1:0", timeouts: { halfClose: "50ms" } }],
      services: { origin: { endpoints: [origin.address] } },
      routes: [{ name: "all", backends: "origin" }],
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

describe("clients that go away", () => {
  test.each(["destroy", "reset"] as const)("while waiting (%s): the upstream request is cancelled at once", async (how) => {
    const client = await RawClient.connect(gateway.port())
    client.send(`GET /waits/${how} HTTP/1.1\r\nhost: a\r\n\r\n`)
    const arrival = await origin.arrival(`/waits/${how}`)
    client[how]()
    await arrival.closed
    const line = await gateway.accessLine(({ path }) => path === `/waits/${how}`, "the client that went away")
    expect([line.status, line.flag]).toEqual([0, "DC"])
  })

  test("inside their upload: the upstream request is cancelled, not completed", async () => {
    const client = await StreamClient.open(gateway.port(), `POST /waits/upload HTTP/1.1\r\nhost: a\r\ncontent-length: ${64 * MIB}\r\n\r\n`)
    const arrival = await origin.arrival("/waits/upload")
    const sending = sendBody(client.socket, "u", 64 * MIB, { onProgress: (sent) => sent > MIB && client.socket.destroy() })
    await expect(sending).rejects.toThrow("the connection ended")
    await arrival.closed
    await expect(arrival.complete).rejects.toThrow("inside the request")
  })

  test("inside a chunked upload: no last chunk reaches the upstream", async () => {
    const client = await RawClient.connect(gateway.port())
    client.send("POST /waits/chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    const arrival = await origin.arrival("/waits/chunked")
    client.end()
    await arrival.closed
    await expect(arrival.complete).rejects.toThrow("inside the request")
    expect(arrival.body.octets).toBe(3)
    client.destroy()
  })

  test("inside a download: the upstream connection is closed", async () => {
    const client = await StreamClient.open(gateway.port(), "GET /download/1 HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.head
    const arrival = await origin.arrival("/download/1")
    client.socket.destroy()
    await arrival.closed
    expect(await gateway.accessLine(({ path }) => path === "/download/1", "the download")).toMatchObject({ status: 200, flag: "DC" })
  })

  test("inside a download that they had stopped reading: the upstream connection is closed", async () => {
    const client = await StreamClient.open(gateway.port(), "GET /download/2 HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.head
    client.socket.pause()
    const arrival = await origin.arrival("/download/2")
    await until(() => arrival.socket.writableLength > 0, "back-pressure at the origin")
    client.socket.resetAndDestroy()
    await arrival.closed
  })
})

describe("upstreams that end too early", () => {
  test.each(["length", "chunked", "chunk", "trailers"])("%s: the client sees the connection end inside the body", async (kind) => {
    for (const how of ["end", "reset"]) {
      const client = await RawClient.connect(gateway.port())
      client.send(`GET /${kind}/${how} HTTP/1.1\r\nhost: a\r\n\r\n`)
      await expect(client.readResponse()).rejects.toThrow("before the rest of the response body")
      client.destroy()
      const line = await gateway.accessLine(({ path }) => path === `/${kind}/${how}`, "the truncated response")
      expect([line.status, line.flag]).toEqual([200, "UC,TR"])
    }
  })

  test("a malformed chunk: the client sees the connection end inside the body", async () => {
    const client = await RawClient.connect(gateway.port())
    client.send("GET /malformed-later/1 HTTP/1.1\r\nhost: a\r\n\r\n")
    await expect(client.readResponse()).rejects.toThrow("before the rest of the response body")
    client.destroy()
    const line = await gateway.accessLine(({ path }) => path === "/malformed-later/1", "the malformed response")
    expect([line.status, line.flag]).toEqual([200, "UPE"])
  })

  test("a malformed chunk in the segment that brought the head: 502, and the client's connection goes on", async () => {
    const client = await RawClient.connect(gateway.port())
    for (let i = 0; i < 2; i++) {
      client.send("GET /malformed/1 HTTP/1.1\r\nhost: a\r\n\r\n")
      expect((await client.readResponse()).status).toBe(502)
    }
    client.destroy()
  })

  test("a body delimited by the connection's end is complete with FIN, and not with RST", async () => {
    const whole = await RawClient.connect(gateway.port())
    whole.send("GET /close/end HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await whole.readResponse()).text()).toBe("far too short")
    whole.destroy()
    const cut = await RawClient.connect(gateway.port())
    cut.send("GET /close/reset HTTP/1.1\r\nhost: a\r\n\r\n")
    await expect(cut.readResponse()).rejects.toThrow("before the rest of the response body")
    cut.destroy()
  })

  test("an HTTP/1.0 client, to whom an end is all that ends a body, gets a reset when it isn't one", async () => {
    const client = await RawClient.connect(gateway.port())
    client.send("GET /chunked/end HTTP/1.0\r\nhost: a\r\n\r\n")
    await client.readHead()
    expect(await client.closed()).toBe("reset")
  })

  test.each(["head/end", "head/reset", "nothing/end", "nothing/reset"])("%s: 502, and the client's connection goes on", async (target) => {
    const client = await RawClient.connect(gateway.port())
    for (let i = 0; i < 2; i++) {
      client.send(`POST /${target} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi`)
      const response = await client.readResponse()
      expect([response.status, response.text()]).toEqual([502, "upstream closed the connection\n"])
    }
    client.destroy()
  })
})

describe("many exchanges at once, some of them aborted", () => {
  test(`${EXCHANGES} clients get their own answers and not an octet of another's`, async () => {
    let seed = 42
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return (seed >>> 8) % below
    }
    let validated = 0
    let aborted = 0
    const run = async (index: number): Promise<void> => {
      const client = await RawClient.connect(gateway.port())
      for (let round = 0; round < 5; round++) {
        const token = `${random(36 ** 6)
          .toString(36)
          .padStart(6, "0")}-${index}-${round}${random(2) === 0 ? "c" : "l"}`
        const body = random(2) === 0 ? "" : token.repeat(1 + random(500))
        const framing = body === "" ? "" : `content-length: ${body.length}\r\n`
        const wire = `${body === "" ? "GET" : "POST"} /token/${token} HTTP/1.1\r\nhost: a\r\n${framing}\r\n${body}`
        const abort = random(5)
        if (abort === 0) {
          // Goes away inside the request, while waiting, or inside the answer.
          const when = random(3)
          client.send(when === 0 ? wire.slice(0, 1 + random(wire.length - 1)) : wire)
          if (when === 2) await client.readBytes(20)
          if (random(2) === 0) client.reset()
          else client.destroy()
          aborted++
          return
        }
        client.send(wire)
        const response = await client.readResponse(undefined, 20_000)
        expect(response.status).toBe(200)
        expect(response.header("x-token")).toBe(token)
        expect(response.text() === answerTo(token)).toBe(true)
        validated++
      }
      expect(client.unread.length).toBe(0)
      client.destroy()
    }
    await Promise.all(Array.from({ length: EXCHANGES }, (_, i) => run(i)))
    expect(validated).toBeGreaterThan(EXCHANGES)
    expect(aborted).toBeGreaterThan(EXCHANGES / 4)
  })

  test("nothing is left behind: no exchange, no client connection, no upstream connection but idle ones", async () => {
    await until(async () => {
      const metrics = await readMetrics(gateway.adminPort)
      return metrics.sum("sluice_requests_active") === 0 && metrics.sum("sluice_downstream_connections_active") === 0
    }, "no active exchange")
    // What is open upstream is exactly what the gateway says is open, and carries nothing.
    await until(
      async () => (await readMetrics(gateway.adminPort)).sum("sluice_upstream_connections_active") === origin.open,
      "the same count on both sides",
    )
    expect(origin.arrivals.filter(({ body, socket }) => !body.complete && !socket.destroyed)).toEqual([])
  })
})
