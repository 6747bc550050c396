// A client for one exchange with large bodies: the response is measured as it arrives and never kept.

import { connect, type Socket } from "node:net"
import { defaultLimit, within } from "./deadline.ts"
import { type Head, parseHead, responseFraming, statusOf } from "./http-message.ts"
import { BodyMeter } from "./traffic.ts"

export class StreamClient {
  readonly socket: Socket
  readonly #method: string
  /** The final response's head. */
  readonly head: Promise<Head>
  /** Resolves when the response is complete; rejects when the connection ends before. */
  readonly complete: Promise<void>
  /** Null until the head is there. */
  body: BodyMeter | null = null

  private constructor(socket: Socket, method: string) {
    this.socket = socket
    this.#method = method
    let onHead = (_: Head): void => {}
    let onComplete = (): void => {}
    let onFailed = (_: Error): void => {}
    this.head = new Promise<Head>((resolve, reject) => {
      onHead = resolve
      onFailed = reject
    })
    this.complete = new Promise<void>((resolve, reject) => {
      onComplete = resolve
      const first = onFailed
      onFailed = (error) => {
        first(error)
        reject(error)
      }
    })
    this.head.catch(() => {})
    this.complete.catch(() => {})
    let unread: Buffer = Buffer.alloc(0)
    socket.on("data", (bytes: Buffer) => {
      let rest = bytes
      if (this.body === null) {
        unread = Buffer.concat([unread, bytes])
        const head = parseHead(unread)
        if (head === null) return
        rest = unread.subarray(head.length)
        unread = rest
        if (statusOf(head) < 200) return
        this.body = new BodyMeter(responseFraming(head, this.#method))
        onHead(head)
      }
      try {
        this.body.feed(rest)
      } catch (error) {
        onFailed(error as Error)
        socket.destroy()
      }
      if (this.body.complete) onComplete()
    })
    socket.on("end", () => {
      this.body?.end()
      if (this.body?.complete) onComplete()
      else onFailed(new Error("the connection ended inside the response"))
    })
    socket.on("error", (error) => onFailed(new Error(`the connection failed inside the response: ${error.message}`)))
    socket.on("close", () => onFailed(new Error("the connection closed inside the response")))
  }

  /** Connects, and sends `head` as it is; the body is the caller's to send on `socket`. */
  static async open(port: number, head: string): Promise<StreamClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve)
        socket.once("error", reject)
      }),
      `connect to port ${port}`,
      defaultLimit,
    )
    const client = new StreamClient(socket, head.slice(0, head.indexOf(" ")))
    socket.write(head)
    return client
  }
}
