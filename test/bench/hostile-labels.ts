// A client that sends a million requests, each with another path, host and method, to a gateway whose metrics it may not blow up:
// counts series and memory before and after. Run: `node test/bench/hostile-labels.ts [requests]`, on Node, Bun or Deno
// (`RUNTIME=bun`): the gateway runs on it.

import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { readMetrics, residentMemory } from "../support/metrics.ts"
import { get } from "../support/raw-client.ts"

const total = Number(process.argv[2] ?? 1_000_000)
const runtime = process.env.RUNTIME ?? "node"
const BATCH = 200
const ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

/** Answers every request of a segment at once; heads of ours never straddle so many that it would matter. */
function originServer(): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let rest = ""
    socket.on("error", () => {}).on("close", () => sockets.delete(socket))
    socket.on("data", (bytes) => {
      const heads = (rest + bytes.toString("latin1")).split("\r\n\r\n")
      rest = heads.pop() ?? ""
      socket.write(ANSWER.repeat(heads.length))
    })
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const close = (): void => {
        server.close()
        for (const socket of sockets) socket.destroy()
      }
      resolve({ port: (server.address() as { port: number }).port, close })
    })
  })
}

/** Sends requests `from` to `to` in batches on one connection; resolves with how many were answered by 200. */
function attack(port: number, from: number, to: number): Promise<number> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true })
  return new Promise((resolve, reject) => {
    let next = from
    let owed = 0
    let answered = 0
    let rest = ""
    const send = (): void => {
      const until = Math.min(next + BATCH, to)
      let text = ""
      for (; next < until; next++) {
        owed++
        text += `M${next.toString(36)} /${next}/x?${next} HTTP/1.1\r\nhost: h${next}.test\r\nuser-agent: a${next}\r\nx-request-id: r${next}\r\n\r\n`
      }
      if (text === "") {
        socket.destroy()
        resolve(answered)
      } else socket.write(text)
    }
    socket.on("connect", send).on("error", reject)
    socket.on("data", (bytes) => {
      const heads = (rest + bytes.toString("latin1")).split("\r\n\r\n")
      rest = heads.pop() ?? ""
      owed -= heads.length
      for (const head of heads) if (head.startsWith("HTTP/1.1 200")) answered++
      if (owed === 0) send()
    })
  })
}

const origin = await originServer()
const folder = mkdtempSync(join(tmpdir(), "sluice-labels-"))
writeFileSync(
  join(folder, "sluice.yaml"),
  `admin: { address: 127.0.0.1:0 }
workers: 1
accessLog: off
listeners: [{ name: edge, address: 127.0.0.1:0 }]
services: { origin: { endpoints: ["127.0.0.1:${origin.port}"] } }
routes: [{ name: all, backends: origin }]
`,
)
const root = fileURLToPath(new URL("../..", import.meta.url))
const main = [
  ...(runtime === "deno" ? ["run", "-A"] : []),
  join(root, "gateway/main.ts"),
  "run",
  "-c",
  join(folder, "sluice.yaml"),
  "--log-format",
  "json",
]
const gateway = spawn(join(root, "node_modules/.bin", runtime), main, { stdio: ["ignore", "ignore", "pipe"] })
const ports: Record<string, number> = {}
await new Promise<void>((resolve, reject) => {
  let log = ""
  gateway.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text
    for (const [, message, port] of log.matchAll(/"message":"(listening|admin listening)"[^\n]*"address":"127\.0\.0\.1:(\d+)"/g))
      ports[message] = Number(port)
    if (log.includes('"message":"ready"')) resolve()
  })
  gateway.on("exit", () => reject(new Error(`the gateway ended: ${log}`)))
})
const [port, admin, pid] = [ports.listening, ports["admin listening"], gateway.pid ?? 0]

async function look(): Promise<{ series: number; octets: number; rss: number; heap: number }> {
  const text = (await get(admin, "/metrics")).text()
  const metrics = await readMetrics(admin)
  const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length
  return { series, octets: text.length, rss: await residentMemory(pid), heap: metrics.sum("sluice_heap_used_bytes") }
}

try {
  // Pools, code and buffers are warm before memory is looked at.
  const warm = Math.min(20_000, total)
  await attack(port, 0, warm)
  const before = await look()
  const began = performance.now()
  const share = Math.ceil((total - warm) / 4)
  const answered = await Promise.all([0, 1, 2, 3].map((i) => attack(port, warm + i * share, Math.min(total, warm + (i + 1) * share))))
  const seconds = (performance.now() - began) / 1000
  const after = await look()
  const megabytes = (octets: number): string => (octets / 1048576).toFixed(1)
  console.log(
    `| runtime | requests | answered | lines of /metrics before, after | octets of it | resident MiB before, after | heap MiB before, after | s |`,
  )
  console.log(`|---|---|---|---|---|---|---|---|`)
  console.log(
    `| ${runtime} | ${total} | ${warm + answered.reduce((sum, each) => sum + each, 0)} | ${before.series}, ${after.series} | ${before.octets}, ${after.octets} | ${megabytes(before.rss)}, ${megabytes(after.rss)} | ${megabytes(before.heap)}, ${megabytes(after.heap)} | ${seconds.toFixed(0)} |`,
  )
} finally {
  gateway.removeAllListeners("exit")
  gateway.kill("SIGKILL")
  origin.close()
  rmSync(folder, { recursive: true })
}
