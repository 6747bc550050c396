import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { HpackDecoder } from "../../../gateway/http2/hpack-decoder.ts"
import { BEGIN_ROOM, FIELD_ROOM, HpackEncoder } from "../../../gateway/http2/hpack-encoder.ts"

type Field = readonly [name: string, value: string]

/** An encoder and the decoder at the other end. */
class Link {
  readonly encoder = new HpackEncoder()
  readonly decoder = new HpackDecoder(4096, () => 0)
  readonly out: Buffer = Buffer.alloc(1 << 16)
  /** Of the last block: its octets, what arrived, and which of it as never to be indexed. */
  octets: Buffer = Buffer.alloc(0)
  fields: Field[] = []
  never: string[] = []

  onField(name: string, value: string): void {
    this.fields.push([name, value])
    if (this.decoder.neverIndexed) this.never.push(name)
  }

  settings(tableSize: number): void {
    this.encoder.setMaxTableSize(tableSize)
    this.decoder.setMaxTableSize(tableSize)
  }

  /** Sends a block and expects it to arrive; its length. */
  send(fields: readonly Field[]): number {
    let at = this.encoder.begin(this.out, 0)
    expect(at).toBeLessThanOrEqual(BEGIN_ROOM)
    for (const [name, value] of fields) {
      const end = this.encoder.field(this.out, at, name, value)
      expect(end - at).toBeLessThanOrEqual(name.length + value.length + FIELD_ROOM)
      at = end
    }
    this.receive(at)
    expect(this.fields).toEqual(fields)
    return at
  }

  receive(end: number): void {
    this.octets = this.out.subarray(0, end)
    this.fields = []
    this.never = []
    expect(this.decoder.decode(this.octets, 0, end, this)).toBe(true)
    expect(this.decoder.tableSize).toBe(this.encoder.tableSize)
  }
}

describe("HPACK encoder", () => {
  test("a field with a constant value costs an octet from its second time on", () => {
    const link = new Link()
    for (const field of [
      [":authority", "a.example"],
      ["content-type", "application/grpc"],
      ["user-agent", "grpc-go/1.64.0"],
      ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
      ["grpc-status", "0"],
    ] as const) {
      expect(link.send([field])).toBeGreaterThan(1)
      expect(link.send([field])).toBe(1)
    }
    for (const field of [
      [":method", "GET"],
      [":method", "POST"],
      [":path", "/"],
      [":scheme", "https"],
      [":status", "404"],
      ["accept-encoding", "gzip, deflate"],
    ] as const) {
      expect(link.send([field])).toBe(1)
    }
  })

  test.each([
    [":path", "/helloworld.Greeter/SayHello"],
    ["x-forwarded-for", "10.0.0.1"],
    ["cookie", "session=0123456789abcdef"],
    ["x-unheard-of", "yes"],
    [`x-${"long".repeat(60)}`, "yes"],
  ])("%s: a value enters the table the second time it is seen", (name, value) => {
    const link = new Link()
    const first = link.send([[name, value]])
    expect(link.encoder.tableSize).toBe(0)
    expect(first).toBeGreaterThan(value.length)
    link.send([[name, value]])
    expect(link.encoder.tableSize).toBe(name.length + value.length + 32)
    expect(link.send([[name, value]])).toBe(1)
  })

  test("a thousand random paths leave the table as it was, and a path among them that repeats still enters it", () => {
    const link = new Link()
    link.send([["user-agent", "curl/8"]])
    const size = link.encoder.tableSize
    for (let i = 0; i < 1000; i++) link.send([[":path", `/items/${(i * 2654435761) % 1_000_003}/details-of-it`]])
    expect(link.encoder.tableSize).toBe(size)
    for (let i = 0; i < 3; i++)
      link.send([
        [":path", `/other/${i}`],
        [":path", "/hot"],
      ])
    expect(link.send([[":path", "/hot"]])).toBe(1)
    expect(link.send([["user-agent", "curl/8"]])).toBe(1)
  })

  test.each(["x-request-id", "traceparent", "content-length", "etag", "set-cookie", "location", "last-modified", "grpc-message"])(
    "%s: its values stay out of the table, but for one that brings the name",
    (name) => {
      const link = new Link()
      link.send([[name, "0"]])
      const size = link.encoder.tableSize
      expect(size === 0 || size === name.length + 33).toBe(true)
      for (let i = 1; i < 200; i++) expect(link.send([[name, `value-${i}`]])).toBeLessThanOrEqual(`value-${i}`.length + 3)
      for (let i = 1; i < 5; i++) link.send([[name, "again"]])
      expect(link.encoder.tableSize).toBe(size)
    },
  )

  test.each([
    ["authorization", "Basic dXNlcjpwYXNz", true],
    ["authorization", `Bearer ${"a".repeat(300)}`, true],
    ["proxy-authorization", "Basic dXNlcjpwYXNz", true],
    ["cookie", "pin=1234", true],
    ["cookie", "a=0123456789abcdefg", true],
    ["cookie", "a=0123456789abcdefgh", false],
    ["x-token", "1234", false],
  ])("%s: %s is sent as never to be indexed: %s", (name, value, never) => {
    const link = new Link()
    for (let i = 0; i < 4; i++) {
      link.send([[name, value]])
      expect(link.never).toEqual(never ? [name] : [])
    }
    expect(link.encoder.tableSize > 0).toBe(!never)
  })

  test("a secret stays one even where the table has that very field", () => {
    const link = new Link()
    for (let i = 0; i < 3; i++) link.send([["x-token", "1234"]])
    link.receive(link.encoder.secret(link.out, link.encoder.begin(link.out, 0), "x-token", "1234"))
    expect([link.fields, link.never]).toEqual([[["x-token", "1234"]], ["x-token"]])
    link.receive(link.encoder.secret(link.out, link.encoder.begin(link.out, 0), "x-other", "1234"))
    expect([link.fields, link.never]).toEqual([[["x-other", "1234"]], ["x-other"]])
  })

  test("every status is written, those of the static table in one octet", () => {
    const link = new Link()
    for (let status = 100; status < 1000; status++) {
      const end = link.encoder.status(link.out, link.encoder.begin(link.out, 0), status)
      link.receive(end)
      expect(link.fields).toEqual([[":status", String(status)]])
      if ([200, 204, 206, 304, 400, 404, 500].includes(status)) expect(end).toBe(1)
    }
  })

  test("a value of more than a quarter of the table never enters it", () => {
    const link = new Link()
    const name = "content-security-policy"
    const most = 1024 - name.length - 32
    link.send([[name, "a".repeat(most + 1)]])
    expect(link.encoder.tableSize).toBe(0)
    link.send([[name, "a".repeat(most)]])
    expect(link.encoder.tableSize).toBe(1024)
  })

  test("values alike in all that is sampled of them don't make look-ups long, nor flood the table", () => {
    const link = new Link()
    const value = (i: number) => `${String(i).padStart(4, "0")}${"x".repeat(20)}`
    for (let i = 0; i < 60; i++) link.send([["vary", value(i)]])
    const size = link.encoder.tableSize
    for (let times = 0; times < 3; times++) for (let i = 0; i < 60; i++) link.send([["vary", value(i)]])
    expect(link.encoder.tableSize).toBe(size)
    expect(size).toBeLessThan(10 * (4 + 24 + 32))
  })

  test("table sizes are announced once: nothing when nothing changed, the lowest and the last when they differ", () => {
    const link = new Link()
    const announced = (): string => {
      link.send([])
      return link.octets.toString("hex")
    }
    expect(announced()).toBe("")
    link.settings(4096)
    expect(announced()).toBe("")
    link.settings(100)
    expect([announced(), announced()]).toEqual(["3f45", ""])
    link.settings(0)
    link.settings(50)
    link.settings(4096)
    expect([announced(), announced()]).toEqual(["203fe11f", ""])
    link.settings(65_536)
    expect(announced()).toBe("")
    link.settings(50)
    link.settings(20)
    expect(announced()).toBe("34")
    link.settings(200)
    expect(announced()).toBe("3fa901")
    link.settings(100)
    link.settings(200)
    expect(announced()).toBe("3f453fa901")
  })

  test("with a table of nought nothing is indexed, and all arrives", () => {
    const link = new Link()
    link.settings(0)
    for (let i = 0; i < 3; i++)
      link.send([
        ["user-agent", "curl/8"],
        [":path", "/a"],
        ["x-a", "b"],
        ["traceparent", "00-1"],
      ])
    expect(link.encoder.tableSize).toBe(0)
  })

  test("strings of every length and octet arrive, in a Uint8Array too", () => {
    const link = new Link()
    const any = String.fromCharCode(...Array.from({ length: 256 }, (_, octet) => octet))
    for (const length of [0, 1, 38, 39, 40, 41, 126, 127, 128, 254, 255, 256, 1000, 16_500]) {
      const value = any.repeat(70).slice(0, length)
      for (const name of ["etag", "vary", "x-any", "authorization", any]) link.send([[name, value]])
    }
    const out = new Uint8Array(500)
    const value = any.slice(0, 200)
    const end = new HpackEncoder().field(out, 0, "etag", value)
    expect(Buffer.from(out.subarray(end - 200, end)).toString("latin1")).toBe(value)
  })

  test("a name stays in use for as long as any of its entries, though older ones are driven out", () => {
    const link = new Link()
    const old: Field = ["x-mine", "old"]
    const recent: Field = ["x-mine", "recent"]
    for (let i = 0; i < 2; i++) link.send([old])
    for (let i = 0; link.encoder.tableSize < 3500; i++) link.send([["vary", `${i}`.repeat(300).slice(0, 400)]])
    for (let i = 0; i < 2; i++) link.send([recent])
    for (let i = 0; link.send([recent]) === 1 && i < 2; i++) link.send([["vary", `more-${i}`.repeat(60)]])
    expect(link.send([recent])).toBeLessThanOrEqual(2)
    expect(link.send([["x-mine", "unseen"]])).toBe(2 + 1 + "unseen".length)
    expect(link.encoder.tableSize).toBeGreaterThan(3500)
  })

  test("names of one connection come and go without end", () => {
    const link = new Link()
    for (let i = 0; i < 3000; i++) {
      const field: Field = [`x-name-${i % 701}`, `${i % 3}`]
      link.send([field])
      link.send([field])
      expect(link.send([field])).toBeLessThanOrEqual(2)
    }
    expect(link.encoder.tableSize).toBeLessThanOrEqual(4096)
  })

  test("whatever is sent, with whatever sizes in between, arrives", () => {
    const name = fc.oneof(
      fc.constantFrom(":path", ":authority", "cookie", "authorization", "traceparent", "date", "x-a", "x-b", "x-c", "te"),
      fc.string({ unit: "binary-ascii", maxLength: 12 }),
    )
    const value = fc.oneof(
      fc.constantFrom("", "/", "a", "b", "GET", "01234567890123456789", "x".repeat(100), "y".repeat(900), "z".repeat(1100)),
      fc.nat(40).map((i) => `/path/${i}`),
      fc.array(fc.nat(255), { maxLength: 60 }).map((octets) => String.fromCharCode(...octets)),
    )
    const size = fc.oneof(fc.nat(300), fc.constantFrom(0, 4096, 65_536))
    const block = fc.record({ sizes: fc.array(size, { maxLength: 2 }), fields: fc.array(fc.tuple(name, value), { maxLength: 12 }) })
    fc.assert(
      fc.property(fc.array(block, { maxLength: 25 }), (blocks) => {
        const link = new Link()
        for (const { sizes, fields } of blocks) {
          for (const size of sizes) link.settings(size)
          link.send(fields)
        }
      }),
      { numRuns: 300 },
    )
  })
})
