// The servers behind the proxies, one of each kind, started when a scenario first wants it; all on the core of the load.

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { freePort } from "../support/ports.ts"
import { accepts, type Running } from "./contender.ts"
import { startHttp1Origin } from "./nginx.ts"
import { findProgram, otherCore, startServer } from "./processes.ts"
import type { Scenario } from "./scenarios.ts"

async function start(name: string, command: (port: number) => readonly string[]): Promise<Running> {
  const port = await freePort()
  const server = await startServer(name, otherCore, command(port), () => accepts(port))
  return { port, pid: server.pid, stop: server.stop }
}

/** HTTP/2 by prior knowledge only, and several times as fast as any proxy here. */
function startHttp2Origin(folder: string): Promise<Running> {
  const program = findProgram("nghttpd")
  if (program === null) throw new Error("the scenario needs nghttpd (apt-get install nghttp2-server)")
  writeFileSync(join(folder, "1k"), "x".repeat(1024))
  return start("nghttpd", (port) => [program, "--no-tls", "-a", "127.0.0.1", "-d", folder, "-m", "1000", String(port)])
}

function startOwn(script: string): Promise<Running> {
  return start(script, (port) => [process.execPath, fileURLToPath(new URL(script, import.meta.url)), String(port)])
}

export class Origins {
  readonly #running = new Map<string, Running>()
  readonly #newFolder: () => string

  constructor(newFolder: () => string) {
    this.#newFolder = newFolder
  }

  /** The port of the origin a scenario's requests are for. */
  async port({ unit, upstream }: Scenario): Promise<number> {
    const kind = unit === "call" ? "grpc" : upstream
    const running = this.#running.get(kind) ?? (await this.#start(kind))
    this.#running.set(kind, running)
    return running.port
  }

  async stop(): Promise<void> {
    for (const running of this.#running.values()) await running.stop()
  }

  #start(kind: string): Promise<Running> {
    if (kind === "grpc") return startOwn("grpc-origin.ts")
    if (kind === "tcp") return startOwn("octet-origin.ts")
    return kind === "h2" ? startHttp2Origin(this.#newFolder()) : startHttp1Origin(this.#newFolder())
  }
}
