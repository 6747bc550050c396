// RFC 9113 §5.1.2, §5.2, §6.5, §6.7, §6.8, §6.9: what takes several turns of both sides, windows above all.

import { expect } from "vitest"
import { H2Client, requestFields } from "../../support/h2-client.ts"
import {
  ACK,
  data,
  describeFrame,
  frameTypes,
  goaway,
  headers,
  ping,
  preface,
  rstStream,
  settingIds,
  settings,
  windowUpdate,
} from "../../support/h2-frames.ts"
import type { PeerOptions } from "../../support/h2-peer.ts"
import type { Origin } from "../../support/origin.ts"
import { get, held, type Limits, post } from "./case.ts"

export interface StepContext {
  readonly client: H2Client
  readonly port: number
  readonly limits: Limits
  readonly origin: Origin
}

export interface StepCase {
  readonly name: string
  /** Of the client. */
  readonly settings?: readonly (readonly [number, number])[]
  readonly options?: PeerOptions
  readonly run: (context: StepContext) => Promise<void>
}

const { INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, HEADER_TABLE_SIZE, MAX_FRAME_SIZE, ENABLE_CONNECT_PROTOCOL } = settingIds

/** The stream is reset or the connection ended with this code. */
async function failsWith(client: H2Client, id: number, codes: readonly string[]): Promise<void> {
  const stream = client.stream(id)
  await client.until(() => stream.reset !== null || client.goaway !== null, `error of stream ${id}`)
  expect(codes).toContain(stream.reset ?? client.goaway?.code)
}

/** Sends DATA of `octets`, in frames that are allowed, without regard to windows. */
function flood(client: H2Client, id: number, octets: number): void {
  for (let left = octets; left > 0; left -= 16_384) client.send(data(id, Buffer.alloc(Math.min(left, 16_384))))
}

export const stepCases: readonly StepCase[] = [
  {
    name: "§3.4 the server's first frame is SETTINGS, and the client's is acknowledged",
    run: async ({ client }) => {
      await client.until(() => client.frames.some(({ type, flags }) => type === frameTypes.SETTINGS && flags === ACK), "acknowledgement")
      expect([client.frames[0].type, client.frames[0].flags, client.frames[0].stream]).toEqual([frameTypes.SETTINGS, 0, 0])
    },
  },
  {
    name: "§3.4 a preface octet by octet",
    run: async ({ port }) => {
      const slow = await H2Client.connect(port, { preface: false, settings: null, ackSettings: false })
      const octets = Buffer.concat([preface, settings(), get(1)])
      for (let at = 0; at < octets.length; at++) {
        slow.send(octets.subarray(at, at + 1))
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect((await slow.response(1)).status).toBe(200)
      slow.destroy()
    },
  },
  {
    name: "§6.5.3 every SETTINGS is acknowledged",
    run: async ({ client }) => {
      client.send(settings([4, 70_000]), settings([4, 80_000]), settings())
      const acks = (): number => client.frames.filter(({ type, flags }) => type === frameTypes.SETTINGS && flags === ACK).length
      await client.until(() => acks() === 4, "four acknowledgements")
    },
  },
  {
    name: "§6.7 PING is answered with its octets",
    run: async ({ client }) => {
      client.send(ping("\x00\x01\xff\xfe1234"))
      await client.until(() => client.frames.some(({ type, flags }) => type === frameTypes.PING && flags === ACK), "answer to PING")
      const answer = client.frames.find(({ type }) => type === frameTypes.PING)
      expect(answer?.payload.toString("latin1")).toBe("\x00\x01\xff\xfe1234")
    },
  },
  {
    name: "RFC 8441 §3 extended CONNECT is announced",
    run: async ({ client }) => expect(client.settings.get(ENABLE_CONNECT_PROTOCOL)).toBe(1),
  },
  {
    name: "§6.5.2 the gateway's own parameters are in their ranges, and it bounds streams and header lists",
    run: async ({ client, limits }) => {
      expect(client.settings.get(settingIds.ENABLE_PUSH) ?? 0).toBe(0)
      expect(client.settings.get(MAX_CONCURRENT_STREAMS)).toBeGreaterThanOrEqual(100)
      expect(client.settings.get(MAX_CONCURRENT_STREAMS)).toBeLessThanOrEqual(10_000)
      expect(client.settings.get(settingIds.MAX_HEADER_LIST_SIZE)).toBeGreaterThanOrEqual(16_384)
      expect(client.settings.get(INITIAL_WINDOW_SIZE) ?? 65_535).toBeLessThan(2 ** 31)
      expect(limits.maxFrameSize).toBeGreaterThanOrEqual(16_384)
      expect(limits.maxFrameSize).toBeLessThan(2 ** 24)
    },
  },
  {
    name: "§5.1.2 streams over MAX_CONCURRENT_STREAMS are refused, and those below are not",
    run: async ({ client }) => {
      const most = client.settings.get(MAX_CONCURRENT_STREAMS) as number
      const frames: Buffer[] = []
      for (let i = 0; i < most; i++) frames.push(held(1 + i * 2))
      client.send(...frames, get(1 + most * 2))
      await failsWith(client, 1 + most * 2, ["REFUSED_STREAM", "PROTOCOL_ERROR"])
      expect(client.goaway).toBe(null)
      // One that ends makes room for another.
      client.send(rstStream(1, "CANCEL"), get(3 + most * 2))
      expect((await client.response(3 + most * 2)).status).toBe(200)
      expect([...client.streams.values()].filter(({ reset }) => reset !== null).map(({ id }) => id)).toEqual([1 + most * 2])
    },
  },
  {
    name: "§5.1 many streams, one after the other and at once, end with their own answers",
    run: async ({ client }) => {
      const ids = Array.from({ length: 90 }, (_, i) => client.request({ path: `/body/${(i + 1) * 10}` }))
      for (const [i, id] of ids.entries()) expect((await client.response(id)).body.length).toBe((i + 1) * 10)
      expect((await client.ask()).status).toBe(200)
    },
  },
  {
    name: "§5.1.1 the last id there is",
    run: async ({ client }) => {
      client.send(get(0x7fffffff))
      expect((await client.response(0x7fffffff)).status).toBe(200)
    },
  },
  {
    name: "§6.9 a stream's window of 1 octet lets the body through octet by octet",
    settings: [[INITIAL_WINDOW_SIZE, 1]],
    options: { updateWindows: false },
    run: async ({ client }) => {
      const id = client.request({ path: "/body/10" })
      const stream = client.stream(id)
      for (let i = 1; i <= 10; i++) {
        await client.until(() => stream.length === i, `octet ${i}`)
        await client.barrier()
        expect(stream.length).toBe(i)
        client.send(windowUpdate(id, 1))
      }
      expect((await client.response(id)).text()).toBe("0123456789")
    },
  },
  {
    name: "§6.9.2 a window of 0 holds a body back, and SETTINGS lets it go",
    settings: [[INITIAL_WINDOW_SIZE, 0]],
    run: async ({ client }) => {
      const id = client.request({ path: "/body/1000" })
      await client.head(id)
      await client.barrier()
      expect(client.stream(id).length).toBe(0)
      client.send(settings([INITIAL_WINDOW_SIZE, 300]))
      await client.until(() => client.stream(id).length >= 300, "what SETTINGS allowed")
      expect((await client.response(id)).body.length).toBe(1000)
    },
  },
  {
    name: "§6.9.2 a window may become negative, and then needs more than its size",
    settings: [[INITIAL_WINDOW_SIZE, 100]],
    options: { updateWindows: false },
    run: async ({ client }) => {
      const id = client.request({ path: "/body/1000" })
      const stream = client.stream(id)
      await client.until(() => stream.length === 100, "the first 100 octets")
      // Now -60, then -10, then 30.
      client.send(settings([INITIAL_WINDOW_SIZE, 40]), windowUpdate(id, 50))
      await client.barrier()
      expect(stream.length).toBe(100)
      client.send(windowUpdate(id, 40))
      await client.until(() => stream.length === 130, "30 octets more")
      await client.barrier()
      expect(stream.length).toBe(130)
      client.send(windowUpdate(id, 870))
      expect((await client.response(id)).body.length).toBe(1000)
    },
  },
  {
    name: "§6.9 an empty response body needs no window",
    settings: [[INITIAL_WINDOW_SIZE, 0]],
    run: async ({ client }) => expect((await client.ask({ path: "/body/0" })).status).toBe(200),
  },
  {
    name: "§6.9.1 the connection's window bounds all streams together",
    settings: [[INITIAL_WINDOW_SIZE, 1_000_000]],
    options: { updateWindows: false },
    run: async ({ client }) => {
      const ids = [1, 2, 3].map(() => client.request({ path: "/body/40000" }))
      const total = (): number => ids.reduce((sum, id) => sum + client.stream(id).length, 0)
      await client.until(() => total() === 65_535, "65535 octets in all")
      await client.barrier()
      expect(total()).toBe(65_535)
      client.send(windowUpdate(0, 54_465))
      for (const id of ids) expect((await client.response(id)).body.length).toBe(40_000)
    },
  },
  {
    name: "§6.9 frames go on being no larger than MAX_FRAME_SIZE",
    settings: [
      [MAX_FRAME_SIZE, 16_384],
      [INITIAL_WINDOW_SIZE, 1_000_000],
    ],
    run: async ({ client }) => {
      client.send(windowUpdate(0, 1_000_000))
      expect((await client.ask({ path: "/body/300000" })).body.length).toBe(300_000)
      expect(Math.max(...client.frames.map(({ payload }) => payload.length))).toBeLessThanOrEqual(16_384)
    },
  },
  {
    name: "§6.9.1 DATA over the stream's window",
    run: async ({ client }) => {
      client.send(post(1, [], "/stalled"))
      await client.barrier()
      const room = Math.max(client.stream(1).sendWindow, client.sendWindow)
      // The service reads nothing: no more is taken than windows and the kernel's buffers hold.
      flood(client, 1, room + 32 * 1024 * 1024)
      await failsWith(client, 1, ["FLOW_CONTROL_ERROR"])
    },
  },
  {
    name: "§6.9 padding counts: it can be given back alone",
    run: async ({ client }) => {
      client.send(post(1))
      const frame = data(1, "x", { pad: 255 })
      // More in all than any window the client has been given.
      const frames = Math.min(30_000, Math.ceil((Math.max(client.sendWindow, client.stream(1).sendWindow) * 2) / 257))
      let sent = 0
      for (let i = 0; i < frames; i++) {
        const stream = client.stream(1)
        await client.until(() => stream.sendWindow >= 257 && client.sendWindow >= 257, `window for frame ${i}`)
        client.take(257, 1)
        client.send(frame)
        sent++
      }
      client.send(data(1, "", { end: true }))
      expect((await client.response(1)).status).toBe(200)
      expect(sent).toBe(frames)
    },
  },
  {
    name: "§6.9 a body larger than all windows, at the pace of the gateway's WINDOW_UPDATEs",
    run: async ({ client, origin }) => {
      const body = Buffer.alloc(1_000_000, "0123456789")
      expect((await client.ask({ body, path: "/large" })).status).toBe(200)
      expect(origin.requests.at(-1)?.body.equals(body)).toBe(true)
    },
  },
  {
    name: "§4.3.1 a client without a dynamic table can read every response",
    settings: [[HEADER_TABLE_SIZE, 0]],
    run: async ({ client }) => {
      for (let i = 0; i < 5; i++) expect((await client.ask()).status).toBe(200)
      expect(client.hpack.entries).toBe(0)
    },
  },
  {
    name: "RFC 7541 §4.2 a client that makes its table smaller and larger again",
    run: async ({ client }) => {
      expect((await client.ask()).status).toBe(200)
      client.hpack.setLimit(4096)
      client.send(settings([HEADER_TABLE_SIZE, 0], [HEADER_TABLE_SIZE, 4096]))
      for (let i = 0; i < 5; i++) expect((await client.ask()).status).toBe(200)
    },
  },
  {
    name: "RFC 7541 §4.2 a client with a table of 100 octets",
    settings: [[HEADER_TABLE_SIZE, 100]],
    run: async ({ client }) => {
      for (let i = 0; i < 5; i++) expect((await client.ask({ fields: [["x-n", String(i)]] })).status).toBe(200)
    },
  },
  {
    name: "§6.8 after a client's GOAWAY its requests are finished",
    run: async ({ client }) => {
      const id = client.request({ path: "/body/100" })
      client.send(goaway(0, "NO_ERROR"))
      expect((await client.response(id)).body.length).toBe(100)
    },
  },
  {
    name: "§5.4.1 GOAWAY names the last stream that may have been processed",
    run: async ({ client }) => {
      expect((await client.ask()).status).toBe(200)
      expect((await client.ask()).status).toBe(200)
      client.send(ping("short"))
      await client.closed()
      expect(client.goaway).toMatchObject({ code: "FRAME_SIZE_ERROR", lastStream: 3 })
    },
  },
  {
    name: "§5.4.2 an error of one stream leaves the others alone",
    run: async ({ client }) => {
      client.send(
        headers(1, requestFields("/body/100000")),
        headers(3, [...requestFields(), ["Bad", "name"]]),
        headers(5, requestFields("/body/10")),
      )
      expect((await client.response(1)).body.length).toBe(100_000)
      expect((await client.response(5)).body.length).toBe(10)
    },
  },
  {
    name: "§8.1 a request is answered in full although its body hasn't ended, and then reset with NO_ERROR or read on",
    run: async ({ client }) => {
      client.send(headers(1, requestFields("/../x", "POST"), { end: false }), data(1, "part"))
      client.nextStream = 3
      const stream = client.stream(1)
      await client.until(() => stream.head !== null || stream.reset !== null, "refusal")
      expect((await client.ask()).status).toBe(200)
      expect(client.goaway).toBe(null)
    },
  },
  {
    name: "§8.2.3 what the gateway sends has lower-case names, no connection fields, and :status first",
    run: async ({ client }) => {
      const id = client.request({ path: "/body/10" })
      await client.response(id)
      const fields = client.stream(id).blocks[0]
      expect(fields[0]).toEqual([":status", "200"])
      for (const [name] of fields.slice(1)) expect(name).toMatch(/^[a-z0-9-]+$/)
      expect(fields.map(([name]) => name)).not.toContain("connection")
      expect(fields.map(([name]) => name)).not.toContain("transfer-encoding")
      expect(client.frames.filter(({ type }) => type === frameTypes.PUSH_PROMISE).map(describeFrame)).toEqual([])
    },
  },
]
