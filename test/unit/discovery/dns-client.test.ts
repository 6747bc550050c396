import { createSocket } from "node:dgram"
import { encode, type Packet } from "dns-packet"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import type { Address } from "../../../gateway/config/model.ts"
import { DnsClient, type DnsReply } from "../../../gateway/discovery/dns-client.ts"
import { DnsServer, type Reply } from "../../support/dns-server.ts"

const question = { name: "api.internal", type: "A" } as const
const ok = (data: string): Reply => ({ answers: [{ type: "A", name: "api.internal", ttl: 30, data }] })

let one: DnsServer
let two: DnsServer
let client: DnsClient
const send = (
  packet: Packet,
  from: { port: number; address: string },
  socket: { send(bytes: Buffer, port: number, host: string): void },
): void => socket.send(encode(packet), from.port, from.address)

beforeAll(async () => {
  one = await DnsServer.start(() => ok("10.0.0.1"))
  two = await DnsServer.start(() => ok("10.0.0.2"))
})

afterEach(() => {
  client.close()
  for (const [i, server] of [one, two].entries()) {
    server.asked.length = 0
    server.reply = () => ok(`10.0.0.${i + 1}`)
    server.send = send
  }
})

afterAll(() => {
  one.stop()
  two.stop()
})

function ask(servers: readonly Address[], ms = 5000): Promise<DnsReply> {
  client = new DnsClient(() => performance.now())
  return client.ask(question, servers, performance.now() + ms)
}

function addressOf(reply: DnsReply): string {
  if (reply.kind !== "answer") throw new Error(JSON.stringify(reply))
  const [record] = reply.answer.records
  return record.type === "A" ? record.address : record.type
}

describe("a question", () => {
  test("is answered by the first server", async () => {
    expect(addressOf(await ask([one.address, two.address]))).toBe("10.0.0.1")
    expect(one.asked).toEqual([{ type: "A", name: "api.internal", over: "udp", extended: true }])
    expect(two.asked).toEqual([])
  })

  test.each(["SERVFAIL", "REFUSED", "FORMERR"] as const)("goes to the next server after %s", async (code) => {
    one.reply = () => ({ code })
    expect(addressOf(await ask([one.address, two.address]))).toBe("10.0.0.2")
  })

  test("is asked without extensions the second time, for servers that know none", async () => {
    one.reply = ({ extended }) => (extended ? { code: "FORMERR" } : ok("10.0.0.1"))
    expect(addressOf(await ask([one.address]))).toBe("10.0.0.1")
    expect(one.asked.map(({ extended }) => extended)).toEqual([true, false])
  })

  test("about a name that does not exist is asked of nobody else", async () => {
    one.reply = () => ({ code: "NXDOMAIN" })
    expect(await ask([one.address, two.address])).toEqual({ kind: "unknown" })
    expect(two.asked).toEqual([])
  })

  test("that no server can answer fails with the last reason, after three rounds", async () => {
    one.reply = () => ({ code: "SERVFAIL" })
    two.reply = () => ({ code: "REFUSED" })
    expect(await ask([one.address, two.address])).toEqual({
      kind: "failed",
      reason: `DNS server 127.0.0.1 port ${two.port} answered REFUSED`,
    })
    expect([one.asked.length, two.asked.length]).toEqual([3, 3])
  })

  test("that nobody answers ends with its time", async () => {
    one.reply = () => null
    expect(await ask([one.address], 60)).toEqual({
      kind: "timeout",
      reason: `DNS server 127.0.0.1 port ${one.port} did not answer in time`,
    })
  })

  test("is asked over TCP where the answer is too long", async () => {
    const answers = Array.from({ length: 200 }, (_, i) => ({ type: "A" as const, name: "api.internal", ttl: 1, data: `10.0.1.${i}` }))
    one.reply = ({ over }) => (over === "udp" ? { ...ok("10.9.9.9"), truncated: true } : { answers })
    const reply = await ask([one.address])
    expect(reply.kind === "answer" && reply.answer.records.length).toBe(200)
    expect(one.asked.map(({ over }) => over)).toEqual(["udp", "tcp"])
  })

  test("is given up with its client", async () => {
    one.reply = () => null
    const asked = ask([one.address])
    client.close()
    expect((await asked).kind).toBe("failed")
  })

  test("is one of many at a time, and each gets its own answer", async () => {
    client = new DnsClient(() => performance.now())
    one.reply = ({ name }) => ({ answers: [{ type: "A", name, ttl: 1, data: `10.0.0.${name.split(".")[0]}` }] })
    const names = Array.from({ length: 100 }, (_, i) => `${i}.internal`)
    const replies = await Promise.all(names.map((name) => client.ask({ name, type: "A" }, [one.address], performance.now() + 5000)))
    expect(replies.map(addressOf)).toEqual(names.map((_, i) => `10.0.0.${i}`))
  })
})

describe("what is no answer to the question is not taken:", () => {
  const forged: Record<string, (packet: Packet) => Packet | Buffer> = {
    "another id": (packet) => ({ ...packet, id: ((packet.id ?? 0) + 1) & 0xffff }),
    "another name": (packet) => ({ ...packet, questions: [{ type: "A", name: "evil.internal", class: "IN" }] }),
    "another type": (packet) => ({ ...packet, questions: [{ type: "AAAA", name: "api.internal", class: "IN" }] }),
    "no question": (packet) => ({ ...packet, questions: [] }),
    "a question": (packet) => ({ ...packet, type: "query" }),
    "octets that are no message": () => Buffer.from("not a message at all"),
  }

  test.each(Object.keys(forged))("%s", async (name) => {
    one.reply = () => ok("10.6.6.6")
    one.send = (packet, from, socket) => {
      const made = forged[name](packet)
      socket.send(Buffer.isBuffer(made) ? made : encode(made), from.port, from.address, () =>
        send({ ...packet, answers: ok("10.0.0.1").answers ?? [] }, from, socket),
      )
    }
    expect(addressOf(await ask([one.address]))).toBe("10.0.0.1")
  })

  test("one from another port", async () => {
    const other = createSocket("udp4")
    one.reply = () => ok("10.6.6.6")
    one.send = (packet, from, socket) =>
      other.send(encode(packet), from.port, from.address, () => send({ ...packet, answers: ok("10.0.0.1").answers ?? [] }, from, socket))
    expect(addressOf(await ask([one.address]))).toBe("10.0.0.1")
    other.close()
  })

  test("too many of them end the attempt", async () => {
    one.send = (packet, from, socket) => {
      for (let i = 0; i < 200; i++) send({ ...packet, id: ((packet.id ?? 0) + 1) & 0xffff }, from, socket)
    }
    expect(addressOf(await ask([one.address, two.address]))).toBe("10.0.0.2")
  })
})
