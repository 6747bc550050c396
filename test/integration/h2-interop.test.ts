// HTTP/2 with implementations that are not ours: curl, nghttp and h2load as clients; nghttpd and nginx as services.

import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { Gateway } from "../support/gateway.ts"
import { H2Client, h2Get } from "../support/h2-client.ts"
import { ask, EchoServices } from "../support/pairing.ts"
import { freePort } from "../support/ports.ts"
import { program, RunningProgram, runProgram } from "../support/programs.ts"
import { block } from "../support/traffic.ts"

const MIB = 1024 * 1024
const large = Buffer.alloc(3 * MIB + 17, block("interop"))
const digest = (bytes: Uint8Array): string => createHash("sha1").update(bytes).digest("hex")

let services: EchoServices
let gateway: Gateway
let folder = ""

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sluice-interop-"))
  writeFileSync(join(folder, "large.bin"), large)
  services = await EchoServices.start()
  const { cert, key } = new Authority().issue({ commonName: "localhost", names: ["localhost", "127.0.0.1"] })
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 2,
      accessLog: "off",
      listeners: [
        { name: "plain", address: "127.0.0.1:0" },
        { name: "tls", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [{ cert: "./cert.pem", key: "./key.pem" }] } },
      ],
      services: { h1: { endpoints: [services.h1.address] }, h2: { endpoints: [services.h2.address], protocol: "h2" } },
      routes: [
        { match: { path: "/h1" }, backends: "h1" },
        { match: { path: "/h2" }, backends: "h2" },
        { match: { path: "/direct" }, respond: { status: 200, body: "direct" } },
      ],
    },
    files: { "cert.pem": cert, "key.pem": key },
  })
})

afterAll(async () => {
  await gateway?.kill()
  await services?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const at = (path: string): string => `http://127.0.0.1:${gateway.port("plain")}${path}`

describe("curl", () => {
  const curl = program("curl")
  test.for(["h1", "h2"])("uploads and downloads 3 MiB (%s)", async (service, context) => {
    if (curl === null) return context.skip("needs curl")
    const args = [
      "-sS",
      "--http2-prior-knowledge",
      "--data-binary",
      `@${join(folder, "large.bin")}`,
      "-w",
      "%{stderr}%{http_version} %{http_code}",
      at(`/${service}/curl?length`),
    ]
    const { stdout, stderr, code } = await runProgram(curl, args)
    expect([code, stderr]).toEqual([0, "2 200"])
    expect(digest(stdout)).toBe(digest(large))
  })

  test("sees trailers and 103, and speaks HTTP/1.1 on the same port", async (context) => {
    if (curl === null) return context.skip("needs curl")
    const h2 = await runProgram(curl, [
      "-sSi",
      "--http2-prior-knowledge",
      "-H",
      "te: trailers",
      "-d",
      "x",
      at("/h2/curl-trailers?trailers&early"),
    ])
    expect(h2.stdout.toString()).toMatch(/^HTTP\/2 103 [\s\S]*HTTP\/2 200 [\s\S]*x-service: h2[\s\S]*x-sum: 42/)
    const h1 = await runProgram(curl, ["-sSi", "--http1.1", at("/h2/curl-http1?length")])
    expect(h1.stdout.toString()).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe("over TLS", () => {
  const curl = program("curl")
  const nghttp = program("nghttp")
  const tls = { rejectUnauthorized: false, servername: "localhost" }

  test("ALPN: h2 when the client offers it, HTTP/1.1 when it doesn't", async (context) => {
    if (curl === null) return context.skip("needs curl")
    const url = `https://127.0.0.1:${gateway.port("tls")}/h2/tls?length`
    for (const [version, shown] of [
      ["--http2", "2"],
      ["--http1.1", "1.1"],
      ["--no-alpn", "1.1"],
    ]) {
      const args = ["-skS", version, "--data-binary", `@${join(folder, "large.bin")}`, "-w", "%{stderr}%{http_version} %{http_code}", url]
      const { stdout, stderr, code } = await runProgram(curl, args)
      expect([code, stderr]).toEqual([0, `${shown} 200`])
      expect(digest(stdout)).toBe(digest(large))
    }
  })

  test("nghttp", async (context) => {
    if (nghttp === null) return context.skip("needs nghttp")
    const { stdout, code } = await runProgram(nghttp, ["-v", "-n", `https://127.0.0.1:${gateway.port("tls")}/direct`])
    expect([code, /:status: 200/.test(stdout.toString())]).toEqual([0, true])
  })

  test("services are told https; a request that says http in its :scheme is not believed", async () => {
    const client = await H2Client.connect(gateway.port("tls"), { tls })
    expect((await client.ask({ path: "/h2/scheme?length", authority: "localhost" })).status).toBe(200)
    const seen = services.one("/h2/scheme?length")
    expect(seen.fields.find(([name]) => name === "x-forwarded-proto")).toEqual(["x-forwarded-proto", "https"])
    client.destroy()
  })

  test("many streams and large bodies", async () => {
    const client = await H2Client.connect(gateway.port("tls"), { tls })
    const ids = Array.from({ length: 50 }, (_, i) =>
      client.request({ path: `/h1/tls-${i}?length`, authority: "localhost", body: large.subarray(0, i * 3000) }),
    )
    for (const [i, id] of ids.entries()) expect((await client.response(id)).body.length).toBe(i * 3000)
    expect(client.problems).toEqual([])
    client.destroy()
  })
})

describe("nghttp and h2load", () => {
  const nghttp = program("nghttp")
  const h2load = program("h2load")

  test("nghttp gets what was asked for, without an error of the protocol", async (context) => {
    if (nghttp === null) return context.skip("needs nghttp")
    const { stdout, code } = await runProgram(nghttp, ["-nvs", at("/h1/a?length"), at("/h2/b?length"), at("/direct"), at("/nowhere")])
    const text = stdout.toString()
    expect(code).toBe(0)
    expect([...text.matchAll(/:status: (\d+)/g)].map(([, status]) => status).sort()).toEqual(["200", "200", "200", "404"])
    expect(text).not.toMatch(/\[ERROR\]|recv RST_STREAM/)
  })

  test("nghttp uploads with trailers, continuation and padding", async (context) => {
    if (nghttp === null) return context.skip("needs nghttp")
    const args = [
      "-v",
      "-n",
      "-b",
      "30",
      "--continuation",
      "--trailer",
      "x-end: yes",
      "-d",
      join(folder, "large.bin"),
      at("/h2/nghttp-upload"),
    ]
    const { stdout, code } = await runProgram(nghttp, args)
    expect(code).toBe(0)
    expect(stdout.toString()).toContain(":status: 200")
    const seen = services.one("/h2/nghttp-upload")
    expect(digest(seen.body)).toBe(digest(large))
    expect(seen.trailers).toEqual([["x-end", "yes"]])
  })

  test.for(["/direct", "/h1/load?length", "/h2/load?length"])("h2load: 2000 requests for %s, none fails", async (path, context) => {
    if (h2load === null) return context.skip("needs h2load")
    const { stdout, code } = await runProgram(h2load, ["-n", "2000", "-c", "4", "-m", "20", at(path)], { limit: 60_000 })
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(/2000 succeeded, 0 failed, 0 errored, 0 timeout/)
    expect(stdout.toString()).toMatch(/status codes: 2000 2xx/)
  })

  test("h2load with bodies and small windows", async (context) => {
    if (h2load === null) return context.skip("needs h2load")
    writeFileSync(join(folder, "body.bin"), large.subarray(0, 40_000))
    const args = ["-n", "300", "-c", "3", "-m", "10", "-w", "14", "-W", "15", "-d", join(folder, "body.bin"), at("/h2/load-body?length")]
    const { stdout } = await runProgram(h2load, args, { limit: 60_000 })
    expect(stdout.toString()).toMatch(/300 succeeded, 0 failed, 0 errored, 0 timeout/)
  })
})

/** A gateway before one service of HTTP/2. */
async function inFrontOf(port: number, run: (port: number) => Promise<void>): Promise<void> {
  const own = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services: { h2: { endpoints: [`127.0.0.1:${port}`], protocol: "h2" } },
      routes: [{ backends: "h2" }],
    },
  })
  try {
    await run(own.port())
  } finally {
    await own.kill()
  }
}

async function downloads(port: number): Promise<void> {
  for (const version of ["1.1", "2"] as const) {
    const answer = await ask(version, port, { path: "/large.bin" })
    expect([answer.status, digest(answer.body)]).toEqual([200, digest(large)])
    expect((await ask(version, port, { path: "/nowhere" })).status).toBe(404)
    const head = await ask(version, port, { method: "HEAD", path: "/large.bin" })
    expect([head.status, head.body.length]).toEqual([200, 0])
  }
  const answers = await Promise.all(Array.from({ length: 50 }, () => h2Get(port, "/small.txt")))
  expect(answers.map((answer) => answer.text())).toEqual(Array<string>(50).fill("small"))
}

describe("services", () => {
  const nghttpd = program("nghttpd")
  const nginx = program("nginx")
  beforeAll(() => {
    mkdirSync(join(folder, "files"))
    writeFileSync(join(folder, "files", "large.bin"), large)
    writeFileSync(join(folder, "files", "small.txt"), "small")
  })

  test("nghttpd", async (context) => {
    if (nghttpd === null) return context.skip("needs nghttpd")
    const port = await freePort()
    const args = ["--no-tls", "-a", "127.0.0.1", "-d", join(folder, "files"), "--trailer", "x-end: yes", String(port)]
    const server = await RunningProgram.start(nghttpd, args, port)
    try {
      await inFrontOf(port, async (own) => {
        await downloads(own)
        expect((await ask("2", own, { path: "/small.txt" })).trailers).toEqual([["x-end", "yes"]])
      })
    } finally {
      await server.stop()
    }
  })

  test("nghttpd with padding, and one stream at a time", async (context) => {
    if (nghttpd === null) return context.skip("needs nghttpd")
    const port = await freePort()
    const args = ["--no-tls", "-a", "127.0.0.1", "-d", join(folder, "files"), "-b", "100", "-m", "1", "-w", "12", String(port)]
    const server = await RunningProgram.start(nghttpd, args, port)
    try {
      await inFrontOf(port, downloads)
    } finally {
      await server.stop()
    }
  })

  test("nginx", async (context) => {
    if (nginx === null) return context.skip("needs nginx")
    const port = await freePort()
    writeFileSync(
      join(folder, "nginx.conf"),
      `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
      events {}
      http {
        access_log off; client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3; uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
        server { listen 127.0.0.1:${port} http2; root ${folder}/files; keepalive_requests 30; }
      }`,
    )
    const server = await RunningProgram.start(nginx, ["-p", folder, "-c", join(folder, "nginx.conf")], port)
    try {
      // After every 30 requests nginx says GOAWAY: none is lost by that.
      await inFrontOf(port, downloads)
    } finally {
      await server.stop()
    }
  })
})
