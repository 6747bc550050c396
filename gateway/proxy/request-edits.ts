// What a route and its backend make of a request before it goes upstream: fields and rewrites.

import type { RequestHead } from "../http/message.ts"
import { rewriteAuthority, rewritePath } from "../router/rewrite.ts"
import type { Backend, Route } from "./route.ts"

/** Edits `head`; the authority it is sent with. `matchedPrefix`: of the path its route was found by. */
export function editRequest(head: RequestHead, route: Route, backend: Backend, matchedPrefix: string): string {
  if (!route.request.empty) route.request.apply(head.fields)
  if (!backend.request.empty) backend.request.apply(head.fields)
  let authority = head.authority
  if (route.rewrite !== undefined) authority = rewrite(route.rewrite, head, authority, matchedPrefix)
  if (backend.rewrite !== undefined) authority = rewrite(backend.rewrite, head, authority, matchedPrefix)
  return authority
}

function rewrite(config: NonNullable<Route["rewrite"]>, head: RequestHead, authority: string, matchedPrefix: string): string {
  // A filter may have changed the path so that the prefix is no longer there to be replaced.
  if (config.prefix === undefined || head.path.startsWith(matchedPrefix)) head.path = rewritePath(config, matchedPrefix, head.path)
  return rewriteAuthority(config, authority)
}
