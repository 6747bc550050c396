// Certificates for the TLS example: an authority, one certificate for the edge, one for a client. Never use them for anything else.

import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Authority } from "../../test/support/certs.ts"

/** Content of the files by name, all from one new authority. */
export function makeCertificates(): Readonly<Record<string, string>> {
  const authority = new Authority("Sluice example CA")
  const edge = authority.issue({ names: ["shop.localhost", "*.shop.localhost"], days: 90 })
  const alice = authority.issue({ commonName: "alice", uris: ["spiffe://shop.example/user/alice"], days: 90 })
  return {
    "ca.pem": authority.cert,
    "shop.pem": edge.cert,
    "shop.key": edge.key,
    "alice.pem": alice.cert,
    "alice.key": alice.key,
  }
}

/** Writes them beside this file, for the gateway and for curl. */
export function writeCertificates(): void {
  for (const [name, content] of Object.entries(makeCertificates()))
    writeFileSync(fileURLToPath(new URL(name, import.meta.url)), content, { mode: name.endsWith(".key") ? 0o600 : 0o644 })
}
