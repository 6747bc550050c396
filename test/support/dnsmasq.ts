// A real DNS server, dnsmasq, on a port of 127.0.0.1, with records that a test changes while it runs.

import { writeFileSync } from "node:fs"
import { freePort } from "./ports.ts"
import { program, RunningProgram } from "./programs.ts"

export class Dnsmasq {
  readonly port: number
  readonly #path: string
  readonly #hosts: string
  readonly #records: readonly string[]
  #running: RunningProgram | null = null

  private constructor(path: string, port: number, hosts: string, records: readonly string[]) {
    this.#path = path
    this.port = port
    this.#hosts = hosts
    this.#records = records
  }

  /** Where it is, or null when it isn't. */
  static get path(): string | null {
    return program("dnsmasq")
  }

  /**
   * `hosts`: file for the records that change, lines of an address and names. `records`: arguments for others. Everything under
   * `internal` is its own, and good for a second.
   */
  static async start(path: string, hosts: string, records: readonly string[] = []): Promise<Dnsmasq> {
    const server = new Dnsmasq(path, await freePort(), hosts, records)
    writeFileSync(hosts, "")
    await server.start()
    return server
  }

  /** Addresses of names from now on, by name. */
  set(records: Readonly<Record<string, readonly string[]>>): void {
    const lines = Object.entries(records).flatMap(([name, addresses]) => addresses.map((address) => `${address} ${name}\n`))
    writeFileSync(this.#hosts, lines.join(""))
    this.#running?.signal("SIGHUP")
  }

  async start(): Promise<void> {
    const user = process.getuid?.() === 0 ? ["--user=root", "--group=root"] : []
    const fixed = ["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces", "--listen-address=127.0.0.1"]
    const own = [`--port=${this.port}`, `--addn-hosts=${this.#hosts}`, "--local=/internal/", "--local-ttl=1", ...user]
    this.#running = await RunningProgram.start(this.#path, [...fixed, ...own, ...this.#records], this.port)
  }

  /** It can be started again. */
  async stop(): Promise<void> {
    await this.#running?.stop()
    this.#running = null
  }
}
