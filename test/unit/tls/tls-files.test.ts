import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeEach, describe, expect, test } from "vitest"
import { parseConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { expiryText } from "../../../gateway/telemetry/certificate-instruments.ts"
import { sameTls, TlsFiles } from "../../../gateway/tls/tls-files.ts"
import { Authority } from "../../support/certs.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-tls-files-"))
afterAll(() => rmSync(folder, { recursive: true }))

const authority = new Authority()

function write(name: string, content: string): void {
  writeFileSync(join(folder, name), content)
}

function config(text: string): Config {
  const result = parseConfig(text, { file: "sluice.yaml", baseDir: folder })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.config
}

const TEXT = `
listeners:
  - { name: a, address: "127.0.0.1:1", protocol: https, tls: { certificates: [{ cert: a.pem, key: a.key }] } }
  - { name: b, address: "127.0.0.1:2", protocol: https, tls: { certificates: [{ cert: a.pem, key: a.key }], clientCa: ca.pem } }
  - { name: c, address: "127.0.0.1:3" }
services:
  mesh: { endpoints: ["127.0.0.1:4"], tls: { ca: ca.pem, cert: a.pem, key: a.key } }
  plain: { endpoints: ["127.0.0.1:5"] }
routes: [{ backends: mesh }]
`

describe("the files of TLS", () => {
  let files: TlsFiles
  let parsed: Config

  beforeEach(() => {
    const { cert, key } = authority.issue({ names: ["a.test"], days: 10 })
    write("a.pem", cert)
    write("a.key", key)
    write("ca.pem", authority.cert)
    files = new TlsFiles()
    parsed = config(TEXT)
  })

  test("come to what workers need, and nothing for what has no TLS", () => {
    const { materials, problems } = files.read(parsed)
    expect(problems).toEqual([])
    expect(Object.keys(materials.listeners)).toEqual(["a", "b"])
    expect(Object.keys(materials.services)).toEqual(["mesh"])
    expect(materials.listeners.b.clientCa).toBe(authority.cert)
    expect(materials.listeners.a.ticketKey).toHaveLength(48)
    expect(structuredClone(materials)).toEqual(materials)
    expect(TlsFiles.paths(parsed).sort()).toEqual(["a.key", "a.pem", "ca.pem"].map((name) => join(folder, name)))
  })

  test("are the same until one changes, or ticket keys do", () => {
    const before = files.read(parsed).materials
    expect(sameTls(before, files.read(parsed).materials)).toBe(true)
    files.rotate()
    const rotated = files.read(parsed).materials
    expect(sameTls(before, rotated)).toBe(false)
    expect(rotated.listeners.a.ticketKey).not.toEqual(before.listeners.a.ticketKey)
    write("ca.pem", authority.cert + new Authority().cert)
    const more = files.read(parsed).materials
    expect(more.listeners.a.id).toBe(rotated.listeners.a.id)
    expect(more.listeners.b.id).not.toBe(rotated.listeners.b.id)
    expect(sameTls(rotated, more)).toBe(false)
  })

  test("give every listener ticket keys of its own, and other ones for other authorities", () => {
    const keys = [files.read(parsed), files.read(config(TEXT.replace("clientCa: ca.pem", "clientCa: ca.pem, clientCertificate: optional")))]
      .flatMap(({ materials }) => Object.values(materials.listeners))
      .map(({ ticketKey }) => Buffer.from(ticketKey).toString("hex"))
    // That of listener a is the same both times.
    expect(new Set(keys).size).toBe(3)
  })

  test("stay as they were when they turn bad, and are a problem when they never were good", () => {
    const before = files.read(parsed).materials
    write("a.key", "gone")
    write("ca.pem", "gone")
    const { materials, problems } = files.read(parsed)
    expect(problems).toEqual([])
    expect(sameTls(before, materials)).toBe(true)
    expect([...files.refused.keys()].sort()).toEqual([join(folder, "a.key"), join(folder, "ca.pem")])
    expect(new TlsFiles().read(parsed).problems).toContainEqual(expect.stringMatching(/a\.key" holds no private key/))
    const { cert, key } = authority.issue({ names: ["a.test"] })
    write("a.pem", cert)
    write("a.key", key)
    write("ca.pem", authority.cert)
    expect(sameTls(before, files.read(parsed).materials)).toBe(false)
    expect(files.refused.size).toBe(0)
  })

  test("are warned of once before they expire, and shown in a metric", () => {
    files.read(parsed)
    const now = Date.now()
    expect(files.warnings(now)).toEqual([expect.stringMatching(/a\.pem" expires on/)])
    expect(files.warnings(now)).toEqual([])
    const text = expiryText(files.expiries)
    for (const listener of ["a", "b", "-"]) expect(text).toContain(`{listener="${listener}",certificate="${join(folder, "a.pem")}"} `)
    expect(expiryText([])).toBe("")
  })
})
