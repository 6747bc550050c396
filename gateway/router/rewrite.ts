// What a route makes of a request's path and authority: rewrites on the way upstream, and the Location of redirects.

import type { RedirectConfig, RewriteConfig } from "../config/model.ts"
import { hostOf } from "../http/authority.ts"

/**
 * The path sent upstream (without query). `matchedPrefix` and `path` as the router has them; `*` is left alone.
 */
export function rewritePath(rewrite: RewriteConfig, matchedPrefix: string, path: string): string {
  if (path === "*") return path
  if (rewrite.path !== undefined) return rewrite.path
  return rewrite.prefix === undefined ? path : replacePrefix(path, matchedPrefix, rewrite.prefix)
}

/** The authority sent upstream. */
export function rewriteAuthority(rewrite: RewriteConfig, authority: string): string {
  return rewrite.host ?? authority
}

/** `path` with `replacement` in the place of `matchedPrefix`, joined by one slash. */
export function replacePrefix(path: string, matchedPrefix: string, replacement: string): string {
  const rest = path.slice(matchedPrefix.length)
  if (rest === "") return replacement === "" ? "/" : replacement
  return (replacement.endsWith("/") ? replacement.slice(0, -1) : replacement) + rest
}

/**
 * The Location of a redirect, always absolute. What the redirect leaves open stays as requested; an open port is that of
 * the redirect's scheme, or, when that is open too, the listener's. Ports a scheme implies are left out.
 */
export function redirectLocation(
  redirect: RedirectConfig,
  matchedPrefix: string,
  path: string,
  query: string | undefined,
  authority: string,
  requestScheme: string,
  listenerPort: number,
): string {
  const scheme = redirect.scheme ?? requestScheme
  const implied = scheme === "https" ? 443 : 80
  const port = redirect.port ?? (redirect.scheme === undefined ? listenerPort : implied)
  const host = redirect.host ?? hostOf(authority) ?? authority
  let target = path === "*" ? "/" : path
  if (redirect.path !== undefined) target = redirect.path
  else if (redirect.prefix !== undefined) target = replacePrefix(target, matchedPrefix, redirect.prefix)
  return `${scheme}://${host}${port === implied ? "" : `:${port}`}${target}${query === undefined ? "" : `?${query}`}`
}
