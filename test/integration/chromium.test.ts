// A real browser through the gateway, over TLS and HTTP/2: loads a page that fetches, uploads and opens a WebSocket, and says how it went.

import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { WebSocketServer } from "ws"
import { Authority } from "../support/certs.ts"
import { within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { listen } from "../support/ports.ts"
import { program, RunningProgram } from "../support/programs.ts"

const FETCHES = 40

const page = `<!doctype html><title>test</title><script>
const send = (report) => fetch("/report", { method: "POST", body: JSON.stringify(report) })
const main = async () => {
  const sizes = await Promise.all(Array.from({ length: ${FETCHES} }, (_, i) => fetch("/octets/" + i * 1000).then((r) => r.text()).then((t) => t.length)))
  const upload = await fetch("/echo", { method: "POST", body: "x".repeat(1_000_000) }).then((r) => r.text())
  const messages = await new Promise((resolve, reject) => {
    const got = []
    const socket = new WebSocket("wss://" + location.host + "/socket")
    socket.onopen = () => socket.send("message 0")
    socket.onmessage = ({ data }) => {
      got.push(data)
      if (got.length < 20) socket.send("message " + got.length)
      else socket.close(4000, "done")
    }
    socket.onclose = ({ code, wasClean }) => resolve({ got: got.length, last: got.at(-1), code, wasClean })
    socket.onerror = () => reject(new Error("WebSocket failed"))
  })
  const protocols = [...new Set(performance.getEntriesByType("resource").map((entry) => entry.nextHopProtocol))]
  return { sizes, upload: upload.length, messages, protocols, cookie: document.cookie }
}
main().then(send, (error) => send({ error: String(error) }))
</script>`

let http: Server
let sockets: WebSocketServer
let gateway: Gateway
let profile = ""
let told: (report: unknown) => void = () => {}
const report = new Promise<unknown>((resolve) => {
  told = resolve
})

beforeAll(async () => {
  profile = mkdtempSync(join(tmpdir(), "sluice-chromium-"))
  sockets = new WebSocketServer({ noServer: true })
  http = createServer((request, response) => {
    const { url = "" } = request
    if (url === "/") return response.writeHead(200, { "content-type": "text/html", "set-cookie": "a=1" }).end(page)
    if (url.startsWith("/octets/")) return response.end("o".repeat(Number(url.slice(8))))
    const parts: Buffer[] = []
    request.on("data", (bytes: Buffer) => parts.push(bytes))
    request.on("end", () => {
      const body = Buffer.concat(parts)
      if (url === "/report") told(JSON.parse(body.toString()))
      response.end(url === "/echo" ? body : "")
    })
  })
  http.on("upgrade", (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (connection) => {
      connection.on("message", (message, binary) => connection.send(message, { binary }))
    })
  })
  const { port } = await listen(http)
  const { cert, key } = new Authority().issue({ commonName: "localhost", names: ["localhost", "127.0.0.1"] })
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      accessLog: "all",
      listeners: [{ address: "127.0.0.1:0", protocol: "https", tls: { certificates: [{ cert: "./cert.pem", key: "./key.pem" }] } }],
      services: { page: { endpoints: [`127.0.0.1:${port}`] } },
      routes: [{ backends: "page" }],
    },
    files: { "cert.pem": cert, "key.pem": key },
  })
})

afterAll(async () => {
  await gateway?.kill()
  for (const client of sockets.clients) client.terminate()
  http.closeAllConnections()
  http.close()
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})

test("Chromium: fetches, an upload and a WebSocket, all over HTTP/2", async (context) => {
  const chromium = program("chromium")
  if (chromium === null) return context.skip("needs chromium")
  const flags = [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    ...[
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      "--ignore-certificate-errors",
      `--user-data-dir=${profile}`,
    ],
    // Keeps it running.
    "--remote-debugging-port=0",
  ]
  const browser = RunningProgram.spawn(chromium, [...flags, `https://127.0.0.1:${gateway.port()}/`])
  try {
    expect(await within(report, "the page's report", 25_000)).toEqual({
      sizes: Array.from({ length: FETCHES }, (_, i) => i * 1000),
      upload: 1_000_000,
      messages: { got: 20, last: "message 19", code: 4000, wasClean: true },
      protocols: ["h2"],
      cookie: "a=1",
    })
    const socket = await gateway.accessLine(({ path }) => path === "/socket", "the WebSocket")
    expect(socket.protocol).toBe("HTTP/2")
  } finally {
    await browser.stop()
  }
})
