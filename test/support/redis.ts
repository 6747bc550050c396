// A Redis of a test's own: it keeps nothing, and may be killed and come back on the same port.

import { createConnection, type Socket } from "node:net"
import { test } from "vitest"
import { until, within } from "./deadline.ts"
import { freePort } from "./ports.ts"
import { program, RunningProgram } from "./programs.ts"

/** Path of redis-server; null: tests with it are skipped. */
export const redisServer: string | null = program("redis-server")

/** A test that needs it. */
export function redisTest(name: string, run: () => Promise<void>): void {
  test(name, async (context) => {
    if (redisServer === null) return context.skip("needs redis-server")
    await run()
  })
}

export class Redis {
  readonly port: number
  readonly #more: readonly string[]
  #server: RunningProgram | null = null

  private constructor(port: number, more: readonly string[]) {
    this.port = port
    this.#more = more
  }

  /** `more`: further arguments, such as `--requirepass x`. */
  static async start(...more: string[]): Promise<Redis> {
    const redis = new Redis(await freePort(), more)
    await redis.run()
    return redis
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`
  }

  /** Runs it (again), empty. */
  async run(): Promise<void> {
    const args = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp", ...this.#more]
    this.#server = await RunningProgram.start(redisServer as string, args, this.port)
  }

  /** It is gone, as in a crash. */
  async kill(): Promise<void> {
    await this.#server?.stop()
    this.#server = null
  }

  /** It stays, and answers nobody. */
  pause(): void {
    this.#server?.signal("SIGSTOP")
  }

  resume(): void {
    this.#server?.signal("SIGCONT")
  }

  /** One command by hand, in words; its answer as it came. */
  async command(...words: string[]): Promise<string> {
    const socket: Socket = createConnection({ port: this.port, host: "127.0.0.1" })
    let answer = ""
    socket.setEncoding("utf8").on("data", (text: string) => {
      answer += text
    })
    try {
      await within(
        new Promise<void>((resolve, reject) => {
          socket.once("connect", resolve)
          socket.once("error", reject)
        }),
        "a connection to Redis",
      )
      socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`)
      await until(() => answer.endsWith("\r\n"), `answer to ${words[0]}`)
      return answer
    } finally {
      socket.destroy()
    }
  }
}
