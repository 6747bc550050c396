// What is wrong with the TLS of listeners and services: settings that contradict each other, and files that can't be used.

import { resolve } from "node:path"
import { expiryWarning, readAuthorities, readCertificatePair } from "./certificate-files.ts"
import { FAILED, isKnown, type Salvaged } from "./issues.ts"
import type { Path } from "./problem.ts"
import type { WrittenListener, WrittenListenerTls, WrittenService } from "./schema.ts"
import type { Finding } from "./source.ts"
import { Wrong } from "./units.ts"

const PAIR = { cert: "cert", key: "key" }

/** Takes what is found. */
export interface Reporter {
  error(path: Path, message: Finding["message"], at?: Finding["at"]): void
  warn(path: Path, message: Finding["message"], at?: Finding["at"]): void
}

export function checkListenerTls(listener: WrittenListener, i: number, baseDir: string, report: Reporter): void {
  const { protocol, tls } = listener
  const path: Path = ["listeners", i, "tls"]
  if ((protocol as unknown) === FAILED) return
  if (protocol === "http" || protocol === "tcp") {
    const secure = protocol === "http" ? "https" : "tls"
    if (tls !== undefined) report.error(path, `belongs to https, tls and auto listeners; write protocol: ${secure}, or leave it out`, "key")
    return
  }
  // Without certificates it is passed through.
  if (tls === undefined && protocol !== "https") return
  if (tls === undefined) {
    report.error(
      ["listeners", i],
      "has no tls; write its certificates, such as tls: { certificates: [{ cert: ./shop.pem, key: ./shop.key }] }",
    )
    return
  }
  if (!isKnown(tls)) return
  if (protocol === "tls") {
    for (const key of ["alpn", "forwardClientCert"] as const)
      if (tls[key] !== undefined)
        report.error([...path, key], "belongs to https listeners, for a tls listener reads no requests; leave it out", "key")
  }
  if (tls.clientCa === undefined) {
    for (const key of ["clientCertificate", "forwardClientCert"] as const)
      if (isKnown(tls[key]) && tls[key] !== false)
        report.error([...path, key], "means nothing without clientCa; write whose certificates are accepted, or leave it out", "key")
  } else if (isKnown(tls.clientCa)) checkAuthorities([...path, "clientCa"], resolve(baseDir, tls.clientCa), report)
  if (!isKnown(tls.certificates)) return
  tls.certificates.forEach((pair: Salvaged<WrittenListenerTls["certificates"][number]>, j) => {
    if (isKnown(pair) && isKnown(pair.cert) && isKnown(pair.key))
      checkPair([...path, "certificates", j], PAIR, pair.cert, pair.key, baseDir, report)
  })
}

export function checkServiceTls(
  path: Path,
  tls: Exclude<NonNullable<WrittenService["tls"]>, true>,
  baseDir: string,
  report: Reporter,
): void {
  const { ca, cert, key, identity, insecureSkipVerify } = tls
  if (isKnown(ca)) checkAuthorities([...path, "ca"], resolve(baseDir, ca), report)
  if (isKnown(cert) && isKnown(key)) checkPair(path, PAIR, cert, key, baseDir, report)
  else if (cert !== undefined && key === undefined) report.error(path, "has a certificate without its key; write key as well")
  else if (key !== undefined && cert === undefined) report.error(path, "has a key without its certificate; write cert as well")
  if (insecureSkipVerify !== true) return
  if (identity !== undefined)
    report.error([...path, "identity"], "is not looked at with insecureSkipVerify; leave out one of the two", "key")
  report.warn(
    [...path, "insecureSkipVerify"],
    "takes any certificate, so that anybody in between can read and change what is sent; write ca instead",
  )
}

export function checkAuthorities(path: Path, file: string, report: Reporter): void {
  const authorities = readAuthorities(file)
  if (authorities instanceof Wrong) report.error(path, authorities.message)
}

/** `names`: the keys that the two are written by. */
export function checkPair(
  path: Path,
  names: { readonly cert: string; readonly key: string },
  cert: string,
  key: string,
  baseDir: string,
  report: Reporter,
): void {
  const file = resolve(baseDir, cert)
  const pair = readCertificatePair(file, resolve(baseDir, key))
  if ("at" in pair) report.error([...path, names[pair.at]], pair.message)
  else {
    const warning = expiryWarning(file, pair.expires, Date.now(), 0)
    if (warning !== "") report.warn([...path, names.cert], warning)
  }
}
