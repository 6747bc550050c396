import { describe, expect, test } from "vitest"
import { CLIENT_HELLO_LIMIT, ClientHelloReader, UNFINISHED } from "../../../gateway/tls/client-hello.ts"
import { extension, helloMessage, protocolNames, rawHello, records, serverNames } from "../../support/client-hello.ts"

const sized = (body: Buffer): Buffer => Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body])
const withExtensions = (...extensions: readonly Buffer[]): Buffer => records(rawHello(sized(Buffer.concat(extensions))))
const named = (name: string): Buffer => records(helloMessage({ serverName: name }))
const HELLO = helloMessage({ serverName: "db.example.com", protocols: ["h2", "http/1.1"] })
const WHOLE = { serverName: "db.example.com", protocols: ["h2", "http/1.1"] }
/** Padding that makes the record as long as the limit. */
const FULL = CLIENT_HELLO_LIMIT - records(helloMessage({ serverName: "a", padding: 0 })).length

const accepted: readonly (readonly [string, Buffer, object])[] = [
  ["name and protocols", records(HELLO), WHOLE],
  ["a name in upper case", named("DB.Example.COM"), { serverName: "db.example.com", protocols: [] }],
  ["a name of one label", named("db"), { serverName: "db", protocols: [] }],
  ["a name with underscores", named("_a.b_c"), { serverName: "_a.b_c", protocols: [] }],
  ["an IPv4 address for a name", named("192.0.2.1"), { serverName: "192.0.2.1", protocols: [] }],
  ["the longest name", named("a".repeat(253)), { serverName: "a".repeat(253), protocols: [] }],
  ["no name", records(helloMessage({ protocols: ["h2"] })), { serverName: "", protocols: ["h2"] }],
  ["no extensions", withExtensions(), { serverName: "", protocols: [] }],
  ["no list of extensions (TLS 1.2)", records(rawHello(Buffer.alloc(0))), { serverName: "", protocols: [] }],
  ["no session", records(helloMessage({ serverName: "a", session: 0 })), { serverName: "a", protocols: [] }],
  [
    "other extensions before it",
    records(
      helloMessage({
        extensions: [
          [0x2a2a, Buffer.alloc(0)],
          [43, Buffer.from([2, 3, 4])],
        ],
        serverName: "a",
      }),
    ),
    { serverName: "a", protocols: [] },
  ],
  ["padding behind it", records(helloMessage({ serverName: "a", padding: 700 })), { serverName: "a", protocols: [] }],
  ["a protocol of 255 octets", records(helloMessage({ protocols: ["x".repeat(255)] })), { serverName: "", protocols: ["x".repeat(255)] }],
  ["two records, cut in the message's head", records(HELLO, 1), WHOLE],
  ["two records, cut behind the message's head", records(HELLO, 4), WHOLE],
  ["two records, cut in the middle", records(HELLO, 60), WHOLE],
  ["two records, cut before the last octet", records(HELLO, HELLO.length - 1), WHOLE],
  ["five records, four for the message's head", records(HELLO, 1, 2, 3, 4), WHOLE],
  ["a record for each octet", records(HELLO, ...Array.from({ length: HELLO.length - 1 }, (_, i) => i + 1)), WHOLE],
  ["as long as it may be", records(helloMessage({ serverName: "a", padding: FULL })), { serverName: "a", protocols: [] }],
]

const refused: readonly (readonly [string, Buffer, string])[] = [
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n"), "no ClientHello"],
  ["SSL 2", Buffer.from([0x80, 0x2e, 1, 3, 1]), "no ClientHello"],
  ["an alert", Buffer.from([21, 3, 3, 0, 2, 1, 0]), "no ClientHello"],
  ["another version of records", Buffer.from([22, 2, 0, 0, 1, 1]), "no ClientHello"],
  ["another message", Buffer.concat([Buffer.from([22, 3, 1, 0, 4]), Buffer.from([2, 0, 0, 0])]), "no ClientHello"],
  ["an empty record", Buffer.from([22, 3, 1, 0, 0]), "empty record"],
  ["an empty record between two", Buffer.concat([records(HELLO.subarray(0, 9)), Buffer.from([22, 3, 1, 0, 0])]), "empty record"],
  ["another record between two", Buffer.concat([records(HELLO.subarray(0, 9)), Buffer.from([23, 3, 3, 0, 1, 0])]), "no ClientHello"],
  ["a record longer than records may be", Buffer.from([22, 3, 1, 0x40, 1, 1]), "ClientHello too long"],
  ["a message longer than the limit", Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x40, 0]), "ClientHello too long"],
  ["a message of 16 MiB", Buffer.from([22, 3, 1, 0, 4, 1, 255, 255, 255]), "ClientHello too long"],
  ["one octet too long", records(helloMessage({ serverName: "a", padding: FULL + 1 })), "ClientHello too long"],
  [
    "records of one octet each, beyond the limit",
    records(helloMessage({ padding: 4000 }), ...Array.from({ length: 4000 }, (_, i) => i + 1)),
    "ClientHello too long",
  ],
  ["octets behind it in its record", records(Buffer.concat([HELLO, Buffer.from([0])])), "octets behind the ClientHello"],
  ["two names", withExtensions(extension(0, serverNames("a", "b"))), "server name that is none"],
  ["an empty list of names", withExtensions(extension(0, sized(Buffer.alloc(0)))), "server name that is none"],
  ["an empty extension for a name", withExtensions(extension(0, Buffer.alloc(0))), "server name that is none"],
  ["an empty name", named(""), "server name that is none"],
  ["a name with a dot at its end", named("a.example."), "server name that is none"],
  ["a name with a dot at its beginning", named(".example"), "server name that is none"],
  ["a name with an empty label", named("a..b"), "server name that is none"],
  ["a name with a NUL", named("a\0.example"), "server name that is none"],
  ["a name with a space", named("a b"), "server name that is none"],
  ["a name with a port", named("a:443"), "server name that is none"],
  ["a name with a wildcard", named("*.example"), "server name that is none"],
  ["a name above ASCII", named("\xe4.example"), "server name that is none"],
  ["a name too long", named("a".repeat(254)), "server name that is none"],
  ["a name of another kind", withExtensions(extension(0, sized(Buffer.from([1, 0, 1, 97])))), "server name that is none"],
  ["a name longer than its list", withExtensions(extension(0, sized(Buffer.from([0, 0, 2, 97])))), "server name that is none"],
  ["a list of names longer than its extension", withExtensions(extension(0, Buffer.from([0, 9, 0, 0, 1, 97]))), "server name that is none"],
  [
    "the extension for names twice",
    withExtensions(extension(0, serverNames("a")), extension(0, serverNames("a"))),
    "extension given twice",
  ],
  [
    "the extension for protocols twice",
    withExtensions(extension(16, protocolNames("h2")), extension(16, protocolNames("h2"))),
    "extension given twice",
  ],
  ["no protocols", withExtensions(extension(16, sized(Buffer.alloc(0)))), "malformed ClientHello"],
  ["an empty protocol", withExtensions(extension(16, protocolNames("h2", ""))), "malformed ClientHello"],
  ["a protocol cut short", withExtensions(extension(16, sized(Buffer.from([3, 104, 50])))), "malformed ClientHello"],
  [
    "a list of protocols longer than its extension",
    withExtensions(extension(16, Buffer.from([0, 4, 2, 104, 50]))),
    "malformed ClientHello",
  ],
  ["65 protocols", records(helloMessage({ protocols: Array.from({ length: 65 }, () => "x") })), "malformed ClientHello"],
  ["extensions cut short", records(rawHello(Buffer.from([0, 5, 0, 1, 0, 0]))), "malformed ClientHello"],
  ["an extension's head cut short", records(rawHello(sized(Buffer.from([0, 1, 0])))), "malformed ClientHello"],
  ["an extension beyond their end", records(rawHello(sized(Buffer.from([0, 1, 0, 1])))), "malformed ClientHello"],
  ["octets behind the extensions", records(rawHello(Buffer.from([0, 0, 0]))), "malformed ClientHello"],
  ["one octet for extensions", records(rawHello(Buffer.from([0]))), "malformed ClientHello"],
  ["a session too long", records(helloMessage({ session: 33 })), "malformed ClientHello"],
  ["nothing behind its head", records(Buffer.from([1, 0, 0, 0])), "malformed ClientHello"],
  ["another version of messages", records(Buffer.from([1, 0, 0, 35, 2, 3, ...Buffer.alloc(33)])), "malformed ClientHello"],
]

describe("a ClientHello", () => {
  test.each(accepted)("is read: %s", (_what, octets, hello) => {
    expect(new ClientHelloReader().read(octets, octets.length)).toMatchObject(hello)
    // What follows it, as early data does, is not looked at.
    const more = Buffer.concat([octets, Buffer.from([23, 3, 3, 0, 1, 0])])
    expect(new ClientHelloReader().read(more, more.length)).toMatchObject(hello)
    // Octet by octet, and cut once, anywhere.
    const dripping = new ClientHelloReader()
    for (let end = 0; end < octets.length; end++) if (dripping.read(octets, end) !== UNFINISHED) throw new Error(`read at ${end}`)
    expect(dripping.read(octets, octets.length)).toMatchObject(hello)
    for (let cut = 0; cut < octets.length; cut += octets.length > 2000 ? 97 : 1) {
      const reader = new ClientHelloReader()
      expect(reader.read(octets, cut)).toBe(UNFINISHED)
      expect(reader.read(octets, octets.length)).toMatchObject(hello)
    }
  })

  test.each(refused)("is refused: %s", (_what, octets, reason) => {
    expect(new ClientHelloReader().read(octets, octets.length)).toBe(reason)
    const dripping = new ClientHelloReader()
    let result: unknown = UNFINISHED
    for (let end = 0; end <= octets.length && result === UNFINISHED; end++) result = dripping.read(octets, end)
    expect(result).toBe(reason)
  })

  test("without an end is refused within the limit", () => {
    const octets = records(helloMessage({ padding: CLIENT_HELLO_LIMIT }), ...Array.from({ length: 9000 }, (_, i) => i + 1))
    const reader = new ClientHelloReader()
    let end = 0
    while (reader.read(octets, end) === UNFINISHED) end++
    expect(end).toBeLessThanOrEqual(CLIENT_HELLO_LIMIT)
  })
})
