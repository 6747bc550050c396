import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { parseHosts, parseResolvConf, SystemDns } from "../../../gateway/discovery/system-dns.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-dns-"))
afterAll(() => rmSync(folder, { recursive: true }))

describe("resolv.conf", () => {
  test("names up to three servers", () => {
    const text =
      "# a comment\nsearch example.com\nnameserver 10.0.0.2\n  nameserver\tfd00::2\nnameserver x\nnameserver\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"
    expect(parseResolvConf(text)).toEqual(["10.0.0.2", "fd00::2", "10.0.0.3"].map((host) => ({ host, port: 53 })))
  })

  test("without a server stands for the one on this machine", () => {
    expect(parseResolvConf("options ndots:1\n")).toEqual([{ host: "127.0.0.1", port: 53 }])
  })
})

describe("hosts", () => {
  test("gives names addresses, several of them too", () => {
    const hosts = parseHosts(
      "127.0.0.1 localhost Web # a comment\n::1\tlocalhost\n10.0.0.1 web\n10.0.0.1 web\nnonsense web\nfe80::1%eth0 web\n#10.0.0.9 web\n",
    )
    expect([...hosts]).toEqual([
      ["localhost", ["127.0.0.1", "::1"]],
      ["web", ["127.0.0.1", "10.0.0.1"]],
    ])
  })
})

test("the system's files are read again when they change, and may be missing", () => {
  const [resolvConf, hosts] = [join(folder, "resolv.conf"), join(folder, "hosts")]
  const system = new SystemDns(resolvConf, hosts)
  expect(system.servers()).toEqual([{ host: "127.0.0.1", port: 53 }])
  expect(system.addresses("web")).toBeNull()
  expect(system.addresses("localhost")).toEqual(["127.0.0.1", "::1"])
  expect(system.addresses("api.localhost")).toEqual(["127.0.0.1", "::1"])
  writeFileSync(resolvConf, "nameserver 10.0.0.2\n")
  writeFileSync(hosts, "10.0.0.1 web\n")
  expect(system.servers()).toEqual([{ host: "10.0.0.2", port: 53 }])
  expect(system.addresses("web")).toEqual(["10.0.0.1"])
  writeFileSync(hosts, "10.0.0.22 web\n127.0.0.5 localhost\n")
  expect(system.addresses("web")).toEqual(["10.0.0.22"])
  expect(system.addresses("localhost")).toEqual(["127.0.0.5"])
  rmSync(hosts)
  expect(system.addresses("web")).toBeNull()
})
