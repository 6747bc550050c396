// What is wrong with the admin API's part of a configuration: an address that others can reach while nothing says who may ask, a
// token of two places, files that can't be used.

import { resolve } from "node:path"
import { type WrittenAdmin, wrongSocketPath } from "./admin-schema.ts"
import { checkAuthorities, checkPair, type Reporter } from "./check-tls.ts"
import { isKnown } from "./issues.ts"
import { isLoopback } from "./loopback.ts"
import { formatAddress } from "./units.ts"

export function checkAdmin({ address, token, tls }: WrittenAdmin, baseDir: string, report: Reporter): void {
  if (isKnown(token) && (token.env === undefined) === (token.file === undefined)) {
    report.error(["admin", "token"], "names not one place; write either { env: SLUICE_ADMIN_TOKEN } or { file: ./admin.token }")
  }
  if (isKnown(tls)) {
    if (isKnown(tls.certificate) && isKnown(tls.key)) {
      checkPair(["admin", "tls"], { cert: "certificate", key: "key" }, tls.certificate, tls.key, baseDir, report)
    }
    if (isKnown(tls.clientAuthority)) {
      checkAuthorities(["admin", "tls", "clientAuthority"], resolve(baseDir, tls.clientAuthority), report)
    }
  }
  if (!isKnown(address)) return
  if ("socket" in address) {
    const wrong = wrongSocketPath(address.socket, baseDir)
    if (wrong !== null) report.error(["admin", "address"], wrong)
    if (tls !== undefined) report.error(["admin", "tls"], "means nothing at a socket, which only this user may open; leave it out", "key")
    return
  }
  if (isLoopback(address.host)) return
  const guarded = token !== undefined || (tls !== undefined && (!isKnown(tls) || tls.clientAuthority !== undefined))
  if (!guarded) {
    report.error(
      ["admin", "address"],
      `others can reach ${formatAddress(address)}, and nothing says who may ask; write token: { env: SLUICE_ADMIN_TOKEN }, or tls with a clientAuthority, or an address of this machine only, such as 127.0.0.1:${address.port}`,
    )
  } else if (tls === undefined) {
    report.warn(["admin", "address"], "others can reach it without TLS, so that who listens on the way learns the token; write tls")
  }
}
