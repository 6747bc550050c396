// `npm start`: two small services, the gateway in front of them, and what to try with it.

import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { startService } from "./services.ts"

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

async function main(): Promise<number> {
  try {
    await startService("hello", 9001)
    await startService("orders", 9002)
  } catch (error) {
    process.stderr.write(`can't start the example services on 127.0.0.1:9001 and :9002: ${(error as Error).message}\n`)
    return 1
  }
  const script = here("../../gateway/main.ts")
  const args = [...(process.versions.deno === undefined ? [] : ["run", "-A"]), script, "run", "-c", here("./sluice.yaml")]
  const gateway = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "pipe"] })
  const exited = new Promise<number>((resolve) => gateway.once("exit", (code) => resolve(code ?? 1)))
  // The log is shown as it comes; the line that says the gateway is ready is followed by what to try.
  let told = false
  gateway.stderr.on("data", (bytes: Buffer) => {
    process.stderr.write(bytes)
    if (told || !bytes.includes('"ready"')) return
    told = true
    process.stdout.write(guide)
  })
  // Ctrl-C reaches the gateway too: it drains, and this ends with it. (By its pid: Deno reports a child that it was told to
  // kill as killed, even when that drained and exited in order.)
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.kill(gateway.pid as number, "SIGTERM"))
  return await exited
}

const filter = "examples/quickstart/filters/api-key/filter.ts"
const guide = `
Sluice listens on http://127.0.0.1:8080. Try, in another terminal:

  curl -i http://127.0.0.1:8080/                                    # a service behind the gateway
  curl -i http://127.0.0.1:8080/orders/7                            # 401: the filter wants an API key
  curl -i http://127.0.0.1:8080/orders/7 -H 'x-api-key: demo'       # 200: see x-filtered-by, and the client in the body
  for i in 1 2 3 4 5 6; do curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:8080/orders -H 'x-api-key: secret'; done
                                                                    # 429 once five have passed within 10 s

Now change the filter while it runs. Edit ${filter}:
put another value for x-filtered-by, save, and repeat the third curl. Then break it on purpose: the
version before goes on serving, and the log here says what is wrong and in which line.

  http://127.0.0.1:9901/dashboard                                   # in a browser: all of it, live
  curl -s http://127.0.0.1:9901/filters                             # state of the filter
  curl -s http://127.0.0.1:9901/metrics | grep sluice_requests      # what has passed

Ctrl-C ends it.

`

process.exit(await main())
