import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { startService } from "../../examples/quickstart/services.ts"
import { until, within } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { staticOrigin } from "../support/origin.ts"
import { get } from "../support/raw-client.ts"

const folder = (name: string): string => fileURLToPath(new URL(`../../examples/${name}/`, import.meta.url))

/** The example's configuration as it is, but for its ports, and with its filters where they lie. */
function configuration(name: string, services: Readonly<Record<string, number>>): string {
  let text = readFileSync(`${folder(name)}sluice.yaml`, "utf8").replaceAll("./filters/", `${folder(name)}filters/`)
  for (const [service, port] of Object.entries(services))
    text = text.replace(new RegExp(`(${service}: .*127\\.0\\.0\\.1:)\\d+`), `$1${port}`)
  return text.replaceAll(/(address: 127\.0\.0\.1:)\d+/g, "$10")
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(false)
    })
    socket.once("error", () => resolve(true))
  })
}

describe("example", () => {
  test("quickstart: the filter asks for a key, names the client, and counts", async () => {
    const servers = [await startService("hello", 0), await startService("orders", 0)]
    const [hello, orders] = servers.map((server) => (server.address() as { port: number }).port)
    const gateway = await Gateway.start({ config: configuration("quickstart", { hello, orders }), startLimit: 40_000 })
    try {
      expect((await get(gateway.port(), "/")).text()).toBe('{"service":"hello","path":"/"}\n')
      expect((await get(gateway.port(), "/ping")).text()).toBe("pong\n")
      expect((await get(gateway.port(), "/orders/7")).status).toBe(401)
      expect((await get(gateway.port(), "/orders/7", { "x-api-key": "wrong" })).status).toBe(403)
      const answer = await get(gateway.port(), "/orders/7", { "x-api-key": "demo" })
      expect(answer.text()).toBe('{"service":"orders","path":"/orders/7","client":"alice"}\n')
      expect(answer.fields).toContainEqual(["x-filtered-by", "api-key"])
      const statuses: number[] = []
      for (let i = 0; i < 6; i++) statuses.push((await get(gateway.port(), "/orders", { "x-api-key": "secret" })).status)
      expect(statuses).toEqual([200, 200, 200, 200, 200, 429])
    } finally {
      await gateway.stop()
      for (const server of servers) server.close()
    }
  })

  test("canary: a tenth goes to the new version, and all of it for who asks", async () => {
    const stable = await staticOrigin("stable")
    const canary = await staticOrigin("canary")
    const gateway = await Gateway.start({ config: configuration("canary", { "shop-stable": stable.port, "shop-canary": canary.port }) })
    try {
      const answers: string[] = []
      for (let i = 0; i < 300; i++) answers.push((await get(gateway.port(), "/")).text())
      const share = answers.filter((answer) => answer === "canary").length
      // 30 are expected, with a standard deviation of 5.2.
      expect(share).toBeGreaterThan(3)
      expect(share).toBeLessThan(65)
      const asked = await get(gateway.port(), "/", { "x-canary": "always" })
      expect(asked.text()).toBe("canary")
    } finally {
      await gateway.stop()
      await stable.stop()
      await canary.stop()
    }
  })

  test("custom-filter: every route has its own greeting", async () => {
    const gateway = await Gateway.start({ config: configuration("custom-filter", {}), startLimit: 40_000 })
    try {
      expect((await get(gateway.port(), "/")).fields).toContainEqual(["x-greeting", "hello"])
      expect((await get(gateway.port(), "/fr")).fields).toContainEqual(["x-greeting", "bonjour"])
    } finally {
      await gateway.stop()
    }
  })

  test("npm start: says what to try, serves, and ends in order", async (context) => {
    for (const port of [8080, 9001, 9002, 9901]) {
      if (!(await isFree(port))) return context.skip(`needs 127.0.0.1:${port}, which is in use`)
    }
    const { command, args } = runtimeCommand(`${folder("quickstart")}start.ts`)
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        output += bytes.toString()
      })
    }
    const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)))
    try {
      await until(() => output.includes("Ctrl-C ends it."), "the guide", 40_000)
      expect(output).toContain("examples/quickstart/filters/api-key/filter.ts")
      expect((await get(8080, "/orders/1", { "x-api-key": "demo" })).status).toBe(200)
      process.kill(child.pid as number, "SIGTERM")
      expect(await within(exited, "the end", 20_000)).toBe(0)
    } finally {
      child.kill("SIGKILL")
    }
  })
})
