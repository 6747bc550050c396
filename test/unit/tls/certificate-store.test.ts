import { createPrivateKey } from "node:crypto"
import { describe, expect, test } from "vitest"
import { CertificateStore, coversHost, type ServedPair } from "../../../gateway/tls/certificate-store.ts"
import type { ClientHello } from "../../../gateway/tls/client-hello.ts"
import { Authority, type CertificateOptions } from "../../support/certs.ts"

const authority = new Authority()

function pair(options: CertificateOptions): ServedPair {
  const { cert, key, der } = authority.issue(options)
  const { namedCurve = "" } = createPrivateKey(key).asymmetricKeyDetails ?? {}
  return { cert, key, der, keyType: options.key ?? "ec", curve: namedCurve }
}

function hello(serverName: string, more: Partial<ClientHello> = {}): ClientHello {
  return { serverName, protocols: [], signatures: [0x0403, 0x0804], tls13: true, ecdsaSuites: true, rsaSuites: true, ...more }
}

describe("a certificate is chosen by name", () => {
  const first = pair({ names: ["first.test", "10.0.0.1"] })
  const wild = pair({ names: ["*.apps.test"] })
  const exact = pair({ names: ["a.apps.test"] })
  const old = pair({ commonName: "Old.test" })
  const mixed = pair({ commonName: "cn.test", names: ["san.test"] })
  const store = new CertificateStore([first, wild, exact, old, mixed])

  test.each([
    ["first.test", first],
    ["a.apps.test", exact],
    ["b.apps.test", wild],
    ["a.b.apps.test", first],
    ["apps.test", first],
    ["old.test", old],
    ["san.test", mixed],
    ["cn.test", first],
    ["", first],
    ["__proto__", first],
  ])("%s", (name, expected) => {
    expect(store.choose(hello(name)).pair).toBe(expected)
  })

  test("and covers no other hosts", () => {
    const [, wildcard] = store.certificates
    expect(wildcard.covers("b.apps.test")).toBe(true)
    expect(wildcard.covers("a.b.apps.test")).toBe(false)
    expect(wildcard.covers("apps.test")).toBe(false)
    expect(wildcard.covers(".apps.test")).toBe(false)
    expect(store.certificates[0].covers("10.0.0.1")).toBe(true)
    expect(store.certificates[4].covers("cn.test")).toBe(false)
    const workload = new CertificateStore([pair({ commonName: "cn.test", uris: ["spiffe://example.org/cn"] })])
    expect(workload.certificates[0].covers("cn.test")).toBe(false)
  })

  test("and an address is no name", () => {
    const names = { ...store.certificates[0].names, dnsNames: ["10.0.0.2", "first.test"] }
    expect(coversHost(names, "10.0.0.1")).toBe(true)
    expect(coversHost(names, "10.0.0.2")).toBe(false)
    expect(coversHost(names, "first.test")).toBe(true)
  })
})

describe("a certificate is chosen by kind of key", () => {
  const rsa = pair({ names: ["shop.test"], key: "rsa" })
  const ec = pair({ names: ["shop.test"] })
  const other = pair({ names: ["other.test"], key: "rsa" })
  const store = new CertificateStore([rsa, ec, other])

  test.each([
    ["ECDSA where the client has it", "shop.test", {}, ec],
    ["RSA where a client of TLS 1.3 has no ECDSA", "shop.test", { signatures: [0x0804] }, rsa],
    ["RSA where it has another curve only", "shop.test", { signatures: [0x0503, 0x0804] }, rsa],
    ["RSA where a client of TLS 1.2 has no ECDSA suite", "shop.test", { tls13: false, ecdsaSuites: false }, rsa],
    ["RSA where it has no ECDSA signature", "shop.test", { tls13: false, signatures: [0x0401] }, rsa],
    ["ECDSA where a client of TLS 1.2 names no signatures", "shop.test", { tls13: false, signatures: [] }, ec],
    ["also by default", "nobody.test", {}, ec],
    ["the name's own, when it is the only one", "other.test", { signatures: [0x0403] }, other],
  ] as const)("%s", (_what, name, more, expected) => {
    expect(store.choose(hello(name, more)).pair).toBe(expected)
  })
})
