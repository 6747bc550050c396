// Reads certificates and keys as they lie on disk, and says in plain words what keeps them from being used. The checker and
// the store that serves them see the same thing. No key is ever part of a message.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { quote, Wrong } from "./units.ts"

/** Octets of a file: a bundle of all public authorities has a fifth of it. */
const MAX_FILE = 1024 * 1024
const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g
/** Curves whose keys every runtime signs with. */
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"])

/** A certificate with its key, fit for use. */
export interface CertificatePair {
  /** The certificate and the chain behind it, PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** DER of the certificate itself. */
  readonly der: Uint8Array
  readonly keyType: "rsa" | "ec"
  /** Of an EC key, as OpenSSL names it; "" for RSA. */
  readonly curve: string
  /** When it expires, ms since the epoch. */
  readonly expires: number
}

export interface PairProblem {
  readonly at: "cert" | "key"
  readonly message: string
}

/** Paths are absolute. */
export function readCertificatePair(certPath: string, keyPath: string): CertificatePair | PairProblem {
  const text = readPem(certPath)
  if (text instanceof Wrong) return { at: "cert", message: text.message }
  const leaf = firstCertificate(text, certPath)
  if (leaf instanceof Wrong) return { at: "cert", message: leaf.message }
  const keyText = readPem(keyPath)
  if (keyText instanceof Wrong) return { at: "key", message: keyText.message }
  const key = parseKey(keyText, keyPath)
  if (key instanceof Wrong) return { at: "key", message: key.message }
  const type = key.asymmetricKeyType
  const curve = type === "ec" ? (key.asymmetricKeyDetails?.namedCurve ?? "") : ""
  if ((type !== "rsa" && type !== "ec") || (type === "ec" && !CURVES.has(curve))) {
    return {
      at: "key",
      message: `${quote(keyPath)} holds a key of the kind ${curve || type}, which not every client can use; make one with RSA or ECDSA (P-256, P-384)`,
    }
  }
  if (!leaf.checkPrivateKey(key)) {
    return {
      at: "key",
      message: `${quote(keyPath)} is not the key of the certificate in ${quote(certPath)}; write the one it was made with`,
    }
  }
  try {
    createSecureContext({ cert: text, key: keyText })
  } catch (error) {
    return {
      at: "cert",
      message: `the certificate in ${quote(certPath)} can't be served: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
  return { cert: text, key: keyText, der: new Uint8Array(leaf.raw), keyType: type, curve, expires: Date.parse(leaf.validTo) }
}

/** Certificates of authorities that others are checked against, PEM. */
export function readAuthorities(path: string): string | Wrong {
  const text = readPem(path)
  if (text instanceof Wrong) return text
  const first = firstCertificate(text, path)
  return first instanceof Wrong ? first : text
}

/** What should be said of a certificate that is or will soon be no longer valid; "" = nothing. */
export function expiryWarning(path: string, expires: number, now: number, soon: number): string {
  const date = new Date(expires).toISOString().slice(0, 10)
  if (expires <= now)
    return `the certificate in ${quote(path)} has expired on ${date}, so clients will refuse it; put a new one in its place`
  return expires - now < soon ? `the certificate in ${quote(path)} expires on ${date}; put a new one in its place before` : ""
}

// Every certificate in the file must be readable: one broken in the middle of a chain is found here, not by a client.
function firstCertificate(text: string, path: string): X509Certificate | Wrong {
  const blocks = text.match(CERTIFICATE)
  if (blocks === null)
    return new Wrong(`${quote(path)} holds no certificate; write the path of a PEM file, which has a line -----BEGIN CERTIFICATE-----`)
  let first: X509Certificate | null = null
  for (const [i, block] of blocks.entries()) {
    try {
      const certificate = new X509Certificate(block)
      first ??= certificate
    } catch {
      return new Wrong(
        `${blocks.length === 1 ? "the certificate" : `certificate ${i + 1}`} in ${quote(path)} can't be read: it is damaged; get it anew`,
      )
    }
  }
  return first as X509Certificate
}

function parseKey(text: string, path: string): KeyObject | Wrong {
  if (!/-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/.test(text))
    return new Wrong(`${quote(path)} holds no private key; write the path of a PEM file, which has a line -----BEGIN PRIVATE KEY-----`)
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text))
    return new Wrong(
      `the key in ${quote(path)} is encrypted, and nobody is asked for its passphrase; write it decrypted, readable by the gateway alone`,
    )
  try {
    return createPrivateKey(text)
  } catch {
    return new Wrong(`the key in ${quote(path)} can't be read: it is damaged or of an unknown kind; get it anew`)
  }
}

function readPem(path: string): string | Wrong {
  if (path.includes("\0")) return new Wrong(`${quote(path)} is not a path; write the path of a PEM file`)
  let file: number
  try {
    file = openSync(path, "r")
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === "ENOENT" || code === "ENOTDIR")
      return new Wrong(`there is no file ${quote(path)}; paths begin at the configuration's folder`)
    if (code === "EACCES" || code === "EPERM") return new Wrong(`${quote(path)} may not be read; change its permissions`)
    return new Wrong(`${quote(path)} can't be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return new Wrong(`${quote(path)} is not a file; write the path of a PEM file`)
    if (stats.size > MAX_FILE)
      return new Wrong(`${quote(path)} is larger than 1 MiB, which no certificate is; write the path of a PEM file`)
    return readFileSync(file, "latin1")
  } catch (error) {
    return new Wrong(`${quote(path)} can't be read: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    closeSync(file)
  }
}
