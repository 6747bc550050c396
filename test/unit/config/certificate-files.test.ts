import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { readAuthorities, readCertificatePair } from "../../../gateway/config/certificate-files.ts"
import { parseConfig } from "../../../gateway/config/load.ts"
import { Authority } from "../../support/certs.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-certificates-"))
afterAll(() => rmSync(folder, { recursive: true }))

const authority = new Authority()
const good = authority.issue({ names: ["shop.test"] })
const rsa = authority.issue({ names: ["shop.test"], key: "rsa" })
const expired = authority.issue({ names: ["shop.test"], from: -10, days: -1 })
const encrypted = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
  type: "pkcs8",
  format: "pem",
  cipher: "aes-256-cbc",
  passphrase: "secret",
}) as string
const ed25519 = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

test("a certificate with its chain, and its key, are read", () => {
  const cert = file("chain.pem", `A comment.\n${good.cert}${authority.cert}`)
  expect(readCertificatePair(cert, file("good.key", good.key))).toMatchObject({ keyType: "ec", curve: "prime256v1" })
  expect(readCertificatePair(file("rsa.pem", rsa.cert), file("rsa.key", rsa.key))).toMatchObject({ keyType: "rsa", curve: "" })
  expect(readAuthorities(file("ca.pem", authority.cert))).toBe(authority.cert)
})

test.each([
  ["a key that is another's", good.cert, rsa.key, "key", /is not the key of the certificate/],
  ["a file that is none", "nothing", good.key, "cert", /holds no certificate/],
  ["a key in place of a certificate", good.key, good.key, "cert", /holds no certificate/],
  ["a certificate that is damaged", good.cert.replace(/\n.{10}/, "\nAAAAAAAAAA"), good.key, "cert", /is damaged/],
  [
    "a chain that is damaged",
    `${good.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    good.key,
    "cert",
    /^certificate 2 in/,
  ],
  ["a certificate in place of a key", good.cert, good.cert, "key", /holds no private key/],
  ["an encrypted key", good.cert, encrypted, "key", /is encrypted/],
  ["a key that is damaged", good.cert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key", /can't be read/],
  ["a key of a kind that not every client can use", good.cert, ed25519, "key", /of the kind ed25519/],
] as const)("%s is refused in plain words", (_what, cert, key, at, message) => {
  const read = readCertificatePair(file("bad.pem", cert), file("bad.key", key))
  expect(read).toMatchObject({ at, message: expect.stringMatching(message) })
  expect(JSON.stringify(read)).not.toContain("PRIVATE KEY-----\\n")
})

test("an expired certificate is a warning, at its line", () => {
  file("expired.pem", expired.cert)
  file("expired.key", expired.key)
  const text = [
    "listeners:",
    "  - address: 127.0.0.1:8443",
    "    protocol: https",
    "    tls:",
    "      certificates:",
    "        - { cert: expired.pem, key: expired.key }",
    "routes: [{ respond: { status: 200 } }]",
  ].join("\n")
  const result = parseConfig(text, { file: "sluice.yaml", baseDir: folder })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  expect(result.warnings).toMatchObject([{ line: 6, message: expect.stringMatching(/has expired on/) }])
  expect(result.config.listeners[0].tls).toEqual({
    certificates: [{ cert: join(folder, "expired.pem"), key: join(folder, "expired.key") }],
    minVersion: "1.2",
    alpn: ["h2", "http/1.1"],
    clientCa: "",
    clientCertificate: "require",
    forwardClientCert: false,
    handshakeTimeout: 10_000,
    maxHandshakes: 1024,
  })
})

test("what is configured for a service is complete, and true is enough", () => {
  const text = `listeners: [{ address: "127.0.0.1:0" }]
services:
  a: { endpoints: ["127.0.0.1:9001"], tls: true }
  b: { endpoints: ["127.0.0.1:9001"], tls: { ca: expired.pem, serverName: Api.Test, minVersion: 1.3 } }
routes: [{ backends: a }]`
  file("expired.pem", expired.cert)
  const result = parseConfig(text, { file: "sluice.yaml", baseDir: folder })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  const none = { ca: "", cert: "", key: "", serverName: "", identity: "", insecureSkipVerify: false, minVersion: "1.2" }
  expect(result.config.services.a.tls).toEqual(none)
  expect(result.config.services.b.tls).toEqual({ ...none, ca: join(folder, "expired.pem"), serverName: "api.test", minVersion: "1.3" })
})
