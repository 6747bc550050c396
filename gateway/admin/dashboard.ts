// The dashboard's files: a page for operators, as it is in `dashboard/`, with nothing of the gateway in it. What it shows it asks the
// admin API for like anybody else, so that it is served to whoever reaches the door. It serves these files and no other.

import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"

const SCRIPT = "text/javascript; charset=utf-8"
/** By path. */
const FILES: ReadonlyMap<string, readonly [file: string, type: string]> = new Map([
  ["/dashboard", ["index.html", "text/html; charset=utf-8"]],
  ["/dashboard/style.css", ["style.css", "text/css; charset=utf-8"]],
  ["/dashboard/icon.svg", ["icon.svg", "image/svg+xml"]],
  ...[
    ...["api", "app", "chart", "dialog", "dom", "format", "graph", "orders", "problems", "table", "tree"],
    ...["config", "explain", "filters", "graph", "overview", "routes", "services", "tap"].map((view) => `view-${view}`),
  ].map((name): [string, readonly [string, string]] => [`/dashboard/${name}.js`, [`${name}.js`, SCRIPT]]),
])

/** Its own scripts and styles from files, and nothing else from anywhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ")

interface Served {
  readonly content: Uint8Array<ArrayBuffer>
  readonly tag: string
}

export class Dashboard {
  readonly #read = new Map<string, Served>()

  /** Null: it is none of its files. @param known what the client says it has, an `If-None-Match`. */
  async answer(path: string, known: string | null): Promise<Response | null> {
    if (path === "/dashboard/") return new Response(null, { status: 308, headers: { location: "/dashboard" } })
    const found = FILES.get(path)
    if (found === undefined) return null
    const [file, type] = found
    let served = this.#read.get(file)
    if (served === undefined) {
      const content = new Uint8Array(await readFile(new URL(`./dashboard/${file}`, import.meta.url)))
      served = { content, tag: `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"` }
      this.#read.set(file, served)
    }
    // Another gateway may answer at this address the next time: what the browser has is asked about.
    const headers = {
      etag: served.tag,
      "cache-control": "no-cache",
      "content-security-policy": POLICY,
      "cross-origin-opener-policy": "same-origin",
    }
    if (known === served.tag) return new Response(null, { status: 304, headers })
    return new Response(served.content, { headers: { ...headers, "content-type": type } })
  }
}
