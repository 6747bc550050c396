// The certificate of the bench's TLS scenarios, made anew by the openssl program for every run; nothing else trusts it.

import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface Certificate {
  /** Files in PEM form; `both` is the certificate followed by the key, as HAProxy wants it. */
  readonly cert: string
  readonly key: string
  readonly both: string
  /** For `localhost` and 127.0.0.1. */
  readonly pem: string
}

/** ECDSA, P-256, self-signed; written to `folder`. */
export function makeCertificate(folder: string): Certificate {
  const cert = join(folder, "cert.pem")
  const key = join(folder, "key.pem")
  const both = join(folder, "both.pem")
  const { status, stderr, error } = spawnSync(
    "openssl",
    [
      ...["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2", "-subj", "/CN=localhost"],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
    ],
    { encoding: "utf8", timeout: 20_000 },
  )
  if (status !== 0) throw new Error(`the bench's TLS scenarios need the openssl program: ${error?.message ?? stderr}`)
  const pem = readFileSync(cert, "utf8")
  writeFileSync(both, pem + readFileSync(key, "utf8"))
  return { cert, key, both, pem }
}
