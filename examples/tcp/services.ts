// Two services with TLS and certificates of their own, made by openssl, and one that repeats what it is told about its client.

import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createServer as createTlsServer } from "node:tls"

const folder = mkdtempSync(join(tmpdir(), "sluice-example-"))

for (const [port, name] of [
  [9051, "orders.test"],
  [9052, "users.test"],
] as const) {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)]
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7", "-subj", `/CN=${name}`]
  execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" })
  createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
    socket.on("error", () => {})
    socket.end(`this is ${name}\n`)
  }).listen(port, "127.0.0.1")
}
rmSync(folder, { recursive: true })

createServer((socket) => {
  socket.on("error", () => {})
  socket.once("data", (bytes) => {
    const [header] = bytes.toString("latin1").split("\r\n")
    socket.end(`hello, ${header.split(" ")[2]}\n`)
  })
}).listen(9053, "127.0.0.1")
