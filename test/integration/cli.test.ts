import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { readRepositoryFile } from "../architecture/repository.ts"
import { Gateway, runCli } from "../support/gateway.ts"
import { listen } from "../support/ports.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-cli-"))
const good = "admin: false\nlisteners: [{ address: 127.0.0.1:0 }]\nroutes: [{ respond: { status: 200 } }]\n"
writeFileSync(join(folder, "good.yaml"), good)
writeFileSync(
  join(folder, "bad.yaml"),
  "listeners:\n  - adress: 127.0.0.1:8080\nservices: { a: { endpoints: [nowhere] } }\nroutes:\n  - backends: a\n    timeout: soon\n",
)
writeFileSync(join(folder, "warned.yaml"), `${good.replace("respond: { status: 200 }", "backends: not-there")}`)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const sluice = (...args: string[]): ReturnType<typeof runCli> => runCli(args, { cwd: folder })

describe("sluice", () => {
  test("version and --version tell the package's version", async () => {
    const { version } = JSON.parse(readRepositoryFile("package.json"))
    const [command, option] = await Promise.all([sluice("version"), sluice("--version")])
    expect([command.code, command.stdout]).toEqual([0, expect.stringContaining(`sluice ${version} (`)])
    expect([option.code, option.stdout.trim()]).toEqual([0, version])
  })

  test("check accepts a good configuration", async () => {
    const { code, stdout, stderr } = await sluice("check", "-c", "good.yaml")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toBe("good.yaml: ok (1 listener, 1 route, 0 services, 0 filters)\n")
  })

  test("check shows every error at once, each with its place, and exits with 1", async () => {
    const { code, stdout, stderr } = await sluice("check", "-c", "bad.yaml")
    expect([code, stdout]).toEqual([1, ""])
    expect(stderr).toMatch(/bad\.yaml:2:5.*adress.*did you mean.*address/is)
    expect(stderr).toMatch(/bad\.yaml:3:\d+.*nowhere/s)
    expect(stderr).toMatch(/bad\.yaml:6:\d+.*soon/s)
    expect(stderr).not.toContain("    at ")
  })

  test("check warns of a backend that isn't there, and lets it pass", async () => {
    const { code, stderr } = await sluice("check", "-c", "warned.yaml")
    expect(code).toBe(0)
    expect(stderr).toContain("not-there")
  })

  test("a file that isn't there is a clear error", async () => {
    for (const command of ["check", "run"]) {
      const { code, stderr } = await sluice(command, "-c", "missing.yaml")
      expect([command, code, stderr.includes("missing.yaml"), stderr.includes("    at ")]).toEqual([command, 1, true, false])
    }
  })

  test("schema prints a JSON Schema", async () => {
    const { code, stdout } = await sluice("schema")
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ title: "Sluice configuration", type: "object" })
  })

  test("refuses what it doesn't know with exit code 2", async () => {
    const { code, stdout, stderr } = await sluice("check", "-c", "good.yaml", "--nonsense")
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toContain("--nonsense")
  })
})

describe("sluice run", () => {
  test("with a bad configuration ends with 1 and every error", async () => {
    const { exit, log } = await Gateway.runToExit({ config: readBad() })
    expect(exit).toEqual({ code: 1, signal: null })
    const reason = String(log.find(({ message }) => message === "can't start")?.reason)
    expect(reason).toContain("sluice.yaml:2:5")
    expect(reason).toContain("sluice.yaml:6:")
  })

  test("on a port that is in use ends with 1 and says so", async () => {
    const server = createServer()
    const { port } = await listen(server)
    const config = { admin: false, listeners: [{ name: "edge", address: `127.0.0.1:${port}` }], routes: [] }
    const { exit, log } = await Gateway.runToExit({ config })
    server.close()
    expect(exit).toEqual({ code: 1, signal: null })
    expect(log.find(({ message }) => message === "can't start")?.reason).toBe(
      `listener edge: can't listen on 127.0.0.1:${port}: the address is in use; stop the other program or change listeners[].address`,
    )
  })

  test("with an admin port that is in use ends with 1 and says so", async () => {
    const server = createServer()
    const { port } = await listen(server)
    const config = { admin: { address: `127.0.0.1:${port}` }, listeners: [{ address: "127.0.0.1:0" }], routes: [] }
    const { exit, log } = await Gateway.runToExit({ config })
    server.close()
    expect(exit).toEqual({ code: 1, signal: null })
    expect(String(log.find(({ message }) => message === "can't start")?.reason)).toContain(`127.0.0.1:${port}`)
  })

  test("prints a log for people when asked", async () => {
    const { exit, log } = await Gateway.runToExit({ config: readBad(), args: ["--log-format", "human"] })
    expect(exit.code).toBe(1)
    expect(log.map(({ message }) => message).join("\n")).toMatch(/sluice\.yaml:2:5/)
  })
})

function readBad(): string {
  return "listeners:\n  - adress: 127.0.0.1:8080\nservices: { a: { endpoints: [nowhere] } }\nroutes:\n  - backends: a\n    timeout: soon\n"
}
