import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { readCertificate } from "../../../gateway/identity/certificate.ts"
import { forwardedClientCert, peerIdentity, spiffeId } from "../../../gateway/identity/peer-identity.ts"
import { Authority, type CertificateOptions } from "../../support/certs.ts"

const authority = new Authority()
const ID = "spiffe://example.org/ns/shop/sa/api"

function read(options: CertificateOptions): NonNullable<ReturnType<typeof readCertificate>> {
  const names = readCertificate(authority.issue(options).der)
  if (names === null) throw new Error("not read")
  return names
}

describe("readCertificate", () => {
  test("reads every kind of name, the digest and the end", () => {
    const { der } = authority.issue({ commonName: "api", names: ["a.test", "*.B.test", "10.0.0.1", "2001:db8::1"], uris: [ID], days: 7 })
    const names = readCertificate(der)
    expect(names).toMatchObject({
      subject: "CN=api",
      commonName: "api",
      dnsNames: ["a.test", "*.b.test"],
      addresses: ["10.0.0.1", "[2001:db8::1]"],
      uris: [ID],
      sha256: createHash("sha256").update(der).digest("hex"),
    })
    expect(Math.abs((names?.expires ?? 0) - Date.now() - 7 * 86_400_000)).toBeLessThan(60_000)
    expect(readCertificate(authority.issue({ days: 40_000 }).der)?.expires).toBeGreaterThan(Date.UTC(2100, 0))
  })

  test("writes a subject so that nothing in it can end a part, a quoted text or a line", () => {
    const { subject } = read({
      commonName: 'x",CN=root\r\n\\',
      subject: [
        ["2.5.4.10", " Acme, Inc+Söhne "],
        ["1.2.3.4", "#1;<>"],
      ],
    })
    expect(subject).toBe("CN=x\\22\\,CN=root\\0D\\0A\\5C,1.2.3.4=\\231\\;\\<\\>,O=\\20Acme\\, Inc\\+S\\C3\\B6hne\\20")
  })

  test("leaves out names that are none, without a certificate having a URI less for it", () => {
    const names = read({ names: ["a.test, URI:spiffe://evil", "good.test"], uris: [ID, "spiffe://evil/\r\nx"] })
    expect(names.dnsNames).toEqual(["good.test"])
    expect(names.uris).toEqual([ID, ""])
    expect(spiffeId(names)).toBe("")
  })

  test("gives null or names for anything, and never throws", () => {
    const { der } = authority.issue({ commonName: "api", names: ["a.test"], uris: [ID] })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(der.length), (edits, length) => {
        const bytes = Buffer.from(der.subarray(0, length))
        for (const [at, octet] of edits) if (at < bytes.length) bytes[at] = octet
        const names = readCertificate(bytes)
        if (names !== null) expect(/^[ -~]*$/.test(names.subject + names.dnsNames.join("") + names.uris.join(""))).toBe(true)
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readCertificate(bytes)
      }),
    )
  })
})

describe("a client", () => {
  test.each([
    ["its SPIFFE ID", ID, { commonName: "c", names: ["d.test"], uris: [ID] }],
    ["its DNS name, without one", "d.test", { commonName: "c", names: ["d.test", "e.test"], uris: ["https://example.org/"] }],
    ["its DNS name, when it has several URIs", "d.test", { names: ["d.test"], uris: [ID, "spiffe://example.org/other"] }],
    ["its common name, when that is all", "c", { commonName: "c" }],
    ["nobody", "", {}],
  ] as const)("is known by %s", (_what, identity, options) => {
    expect(peerIdentity(read(options))).toBe(identity)
  })
})

describe("x-forwarded-client-cert", () => {
  const local = read({ names: ["edge.test"], uris: ["spiffe://example.org/edge"] })

  test("has Envoy's form, quotes what needs it, and nothing else", () => {
    const peer = read({ commonName: "a,b", names: ["d.test", "e.test"], uris: ["https://example.org/?a=1,b;c", ID] })
    expect(forwardedClientCert(peer, local)).toBe(
      `By=spiffe://example.org/edge;Hash=${peer.sha256};Subject="CN=a\\,b";URI="https://example.org/?a=1,b;c";URI=${ID};DNS=d.test;DNS=e.test`,
    )
    expect(forwardedClientCert(read({}), read({}))).toMatch(/^Hash=[0-9a-f]{64};Subject=""$/)
  })

  test("has a bound, whatever a certificate holds", () => {
    const peer = read({ commonName: "x".repeat(20_000), names: Array.from({ length: 900 }, (_, i) => `name-${i}.example.test`) })
    const text = forwardedClientCert(peer, local)
    expect(text.length).toBeLessThanOrEqual(8192)
    expect(text).toContain(`Hash=${peer.sha256}`)
  })
})
