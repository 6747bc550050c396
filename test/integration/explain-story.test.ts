// The way to the cause of a 404 in gateway/OBSERVABILITY.md, gone step by step. What it shows doesn't depend on the runtime.

import { readFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway, runCli } from "../support/gateway.ts"
import { Origin } from "../support/origin.ts"
import { exchange } from "../support/raw-client.ts"

const onNode = process.versions.bun === undefined && process.versions.deno === undefined
const document = readFileSync(new URL("../../gateway/OBSERVABILITY.md", import.meta.url), "utf8")
const section = document.slice(document.indexOf("### A request that gets 404")).split(/^### /m)[1]
const written = /```yaml\n(.*?)```/s.exec(section)?.[1] ?? ""
const steps = [...section.matchAll(/```console\n {3}\$ sluice (.*?)\n(.*?) {3}```/gs)].map(([, command, output]) => ({
  command: command.split(" "),
  output: output.replace(/^ {3}/gm, ""),
}))

describe.runIf(onNode)("a broken route (on Node alone: it is about the document)", () => {
  let origin: Origin
  let gateway: Gateway
  let configured: string

  beforeAll(async () => {
    origin = await Origin.start((_, connection) => connection.reply(201, "ordered"))
    configured = written
      .replace("127.0.0.1:9901", "127.0.0.1:0")
      .replace("127.0.0.1:8080", "127.0.0.1:0")
      .replace("127.0.0.1:9001", origin.address)
    gateway = await Gateway.start({ config: configured })
  })

  afterAll(async () => {
    await gateway.kill()
    await origin.stop()
  })

  const order = "POST /orders HTTP/1.1\r\nhost: shop.example.com:8080\r\ncontent-length: 0\r\n\r\n"

  // As the document has it: with its ports.
  const documented = (text: string): string =>
    text
      .replaceAll(`:${gateway.port("edge")}`, ":8080")
      .replaceAll(origin.address, "127.0.0.1:9001")
      .replaceAll(`port ${gateway.port("edge")}`, "port 8080")

  async function run(command: readonly string[]): Promise<{ code: number | null; output: string }> {
    const there = command.map((word) => word.replace(":8080", `:${gateway.port("edge")}`))
    const admin = there.includes("-c") ? [] : ["--admin", `127.0.0.1:${gateway.adminPort}`]
    const { code, stdout } = await runCli([...there, ...admin], { cwd: gateway.folder })
    return { code, output: documented(stdout) }
  }

  test("is found in under five steps, which show what is written", async () => {
    expect(steps.length).toBe(3)
    expect((await exchange(gateway.port("edge"), order, "POST")).status).toBe(404)
    expect(await gateway.accessLine(({ path }) => path === "/orders", "the order")).toMatchObject({ flag: "NR" })
    const corrected = configured.replace("exmaple", "example")
    gateway.writeFile("corrected.yaml", corrected.replace("edge, address: 127.0.0.1:0", `edge, address: 127.0.0.1:${gateway.port("edge")}`))
    const [flag, cause, repaired] = await Promise.all(steps.map(({ command }) => run(command)))
    expect(flag).toEqual({ code: 0, output: steps[0].output })
    expect(cause).toEqual({ code: 1, output: steps[1].output })
    expect(repaired).toEqual({ code: 0, output: steps[2].output })
    const taken = gateway.log.length
    gateway.writeConfig(corrected)
    await gateway.waitForLog(({ message }) => message === "configuration taken", "the correction", undefined, taken)
    expect((await run(steps[1].command)).code).toBe(0)
    expect((await exchange(gateway.port("edge"), order, "POST")).status).toBe(201)
  })
})
