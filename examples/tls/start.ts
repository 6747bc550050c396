// Makes certificates, starts a service that tells what it hears of its clients, and the gateway in front of it.

import { spawn } from "node:child_process"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { writeCertificates } from "./certificates.ts"

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

writeCertificates()
createServer((request, response) => {
  request.resume()
  response.end(`${request.headers["x-forwarded-proto"]}, ${request.headers["x-forwarded-client-cert"] ?? "no client certificate"}\n`)
}).listen(9041, "127.0.0.1")
const script = here("../../gateway/main.ts")
const args = [...(process.versions.deno === undefined ? [] : ["run", "-A"]), script, "run", "-c", here("./sluice.yaml")]
const gateway = spawn(process.execPath, args, { stdio: "inherit" })
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.kill(gateway.pid as number, "SIGTERM"))
gateway.once("exit", (code) => process.exit(code ?? 1))
