// A DNS server that answers what a test tells it to, over UDP and TCP on the same port of 127.0.0.1.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram"
import { createServer, type Server } from "node:net"
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, type Packet, type Question, TRUNCATED_RESPONSE } from "dns-packet"
import { freePort, listen } from "./ports.ts"

const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const

export interface Reply {
  readonly code?: keyof typeof RCODES
  readonly answers?: Answer[]
  readonly additionals?: Answer[]
  readonly truncated?: boolean
}

export interface Asked {
  readonly type: string
  readonly name: string
  readonly over: "udp" | "tcp"
  readonly extended: boolean
}

export class DnsServer {
  /** Every question it was asked, oldest first. */
  readonly asked: Asked[] = []
  /** Null: no answer. */
  reply: (asked: Asked) => Reply | null
  /** What goes out over UDP instead of an answer; tests play attackers with it. */
  send: (packet: Packet, from: RemoteInfo, socket: Socket) => void = (packet, from, socket) =>
    socket.send(encode(packet), from.port, from.address)
  readonly port: number
  readonly #udp: Socket
  readonly #tcp: Server

  private constructor(port: number, udp: Socket, tcp: Server, reply: DnsServer["reply"]) {
    this.port = port
    this.#udp = udp
    this.#tcp = tcp
    this.reply = reply
    udp.on("message", (bytes, from) => {
      const packet = this.#answer(bytes, "udp")
      if (packet !== null) this.send(packet, from, udp)
    })
    tcp.on("connection", (socket) => {
      socket.on("error", () => {})
      socket.on("data", (bytes: Buffer) => {
        const packet = this.#answer(bytes.subarray(2), "tcp")
        if (packet === null) return
        const message = encode(packet)
        const length = Buffer.alloc(2)
        length.writeUInt16BE(message.length)
        // In pieces, as networks do.
        socket.write(length.subarray(0, 1))
        setImmediate(() => socket.write(Buffer.concat([length.subarray(1), message])))
      })
    })
  }

  static async start(reply: DnsServer["reply"]): Promise<DnsServer> {
    const port = await freePort()
    const tcp = createServer()
    await listen(tcp, port)
    const udp = createSocket("udp4")
    await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve))
    return new DnsServer(port, udp, tcp, reply)
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: this.port }
  }

  #answer(bytes: Uint8Array, over: "udp" | "tcp"): Packet | null {
    const query = decode(Buffer.from(bytes))
    const question = query.questions?.[0] as Question
    const asked: Asked = {
      type: question.type,
      name: question.name,
      over,
      extended: query.additionals?.some(({ type }) => type === "OPT") === true,
    }
    this.asked.push(asked)
    const reply = this.reply(asked)
    if (reply === null) return null
    const { code = "NOERROR", answers = [], additionals = [], truncated = false } = reply
    const flags = AUTHORITATIVE_ANSWER | (truncated ? TRUNCATED_RESPONSE : 0) | RCODES[code]
    return { type: "response", id: query.id ?? 0, flags, questions: [question], answers, additionals }
  }

  stop(): void {
    this.#udp.close()
    this.#tcp.close()
  }
}
