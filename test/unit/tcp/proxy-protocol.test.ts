import { describe, expect, test } from "vitest"
import { crc32c } from "../../../gateway/tcp/crc32c.ts"
import { proxyHeader } from "../../../gateway/tcp/proxy-header.ts"
import { readProxyHeader, UNFINISHED, V1_LIMIT, V2_LIMIT } from "../../../gateway/tcp/proxy-protocol.ts"
import { checksummed, four, SIGNATURE, six, tlv, v2 } from "../../support/proxy-headers.ts"

const text = (line: string): Buffer => Buffer.from(line, "latin1")

const FOUR = { sourceAddress: "192.0.2.7", sourcePort: 4242, destinationAddress: "198.51.100.1", destinationPort: 443 }
const SIX = { sourceAddress: "2001:db8::7", sourcePort: 4242, destinationAddress: "2001:db8::1", destinationPort: 443 }
const LONGEST = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535"

const accepted: readonly (readonly [string, Buffer, object | null, object?])[] = [
  ["v1 TCP4", text("PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n"), FOUR],
  ["v1 TCP6", text("PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:1 4242 443\r\n"), SIX],
  ["v1 TCP6 with mapped addresses", text("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c633:6401 4242 443\r\n"), FOUR],
  ["v1 port 0", text("PROXY TCP4 192.0.2.7 198.51.100.1 0 65535\r\n"), { ...FOUR, sourcePort: 0, destinationPort: 65535 }],
  ["v1 UNKNOWN", text("PROXY UNKNOWN\r\n"), null],
  ["v1 UNKNOWN with what is to be ignored", text("PROXY UNKNOWN 192.0.2.7 whatever\r\n"), null],
  ["v1 as long as it may be", text(`${LONGEST}${"x".repeat(V1_LIMIT - 2 - LONGEST.length)}\r\n`), null],
  ["v2 TCP4", v2(0x11, four), FOUR],
  ["v2 TCP6", v2(0x21, six), SIX],
  ["v2 UNSPEC", v2(0x00, Buffer.alloc(0)), null],
  ["v2 UNSPEC with a TLV", v2(0x00, tlv(2, "a.example")), null, { authority: "a.example" }],
  ["v2 UNIX", v2(0x31, Buffer.alloc(216, 1)), null],
  ["v2 LOCAL", v2(0x00, Buffer.alloc(0), 0x20), null],
  ["v2 LOCAL with a family and octets that mean nothing", v2(0xff, Buffer.from("anything"), 0x20), null],
  ["v2 LOCAL with an authority, which isn't believed", v2(0x11, Buffer.concat([four, tlv(2, "a.example")]), 0x20), null],
  ["v2 with an authority", v2(0x11, Buffer.concat([four, tlv(2, "A.Example")])), FOUR, { authority: "a.example" }],
  ["v2 with an authority that is no name", v2(0x11, Buffer.concat([four, tlv(2, "a b")])), FOUR],
  ["v2 with an empty authority", v2(0x11, Buffer.concat([four, tlv(2, "")])), FOUR],
  ["v2 with a unique ID", v2(0x11, Buffer.concat([four, tlv(5, "id-1")])), FOUR, { uniqueId: "id-1" }],
  ["v2 with a unique ID of octets", v2(0x11, Buffer.concat([four, tlv(5, Buffer.from([0, 255]))])), FOUR, { uniqueId: "00ff" }],
  ["v2 with the longest unique ID", v2(0x11, Buffer.concat([four, tlv(5, "x".repeat(128))])), FOUR, { uniqueId: "x".repeat(128) }],
  [
    "v2 with padding and unknown TLVs",
    v2(0x11, Buffer.concat([four, tlv(4, "\0\0\0"), tlv(0xe0, "x"), tlv(0xe0, "y"), tlv(0x20, "ssl")])),
    FOUR,
  ],
  ["v2 with its checksum", checksummed(), FOUR],
  ["v2 with TLVs and their checksum", checksummed(tlv(2, "a.example"), tlv(5, "7")), FOUR, { authority: "a.example", uniqueId: "7" }],
  ["v2 as long as it may be", v2(0x11, Buffer.concat([four, tlv(4, Buffer.alloc(V2_LIMIT - 16 - 12 - 3))])), FOUR],
  ["v2 with the pieces of another header inside", v2(0x11, Buffer.concat([four, tlv(4, SIGNATURE)])), FOUR],
]

const refused: readonly (readonly [string, Buffer, string])[] = [
  ["nothing of it: HTTP", text("GET / HTTP/1.1\r\n"), "no header"],
  ["nothing of it: TLS", Buffer.from([22, 3, 1, 0, 1, 1]), "no header"],
  ["v1 in lower case", text("proxy TCP4"), "no header"],
  ["v1 with a tab", text("PROXY\tTCP4"), "no header"],
  ["v1 without a family", text("PROXY \r\n"), "unknown family"],
  ["v1 with two spaces", text("PROXY  TCP4 192.0.2.7 198.51.100.1 4242 443\r\n"), "unknown family"],
  ["v1 with another family", text("PROXY UDP4 192.0.2.7 198.51.100.1 4242 443\r\n"), "unknown family"],
  ["v1 with a family that begins like one", text("PROXY TCP44 192.0.2.7 198.51.100.1 4242 443\r\n"), "unknown family"],
  ["v1 without the last port", text("PROXY TCP4 192.0.2.7 198.51.100.1 4242\r\n"), "wrong number of fields"],
  ["v1 with another field", text("PROXY TCP4 192.0.2.7 198.51.100.1 4242 443 x\r\n"), "wrong number of fields"],
  ["v1 with a space at the end", text("PROXY TCP4 192.0.2.7 198.51.100.1 4242 443 \r\n"), "wrong number of fields"],
  ["v1 TCP4 with an IPv6 address", text("PROXY TCP4 ::1 198.51.100.1 4242 443\r\n"), "no such address"],
  ["v1 TCP6 with an IPv4 address", text("PROXY TCP6 192.0.2.7 ::1 4242 443\r\n"), "no such address"],
  ["v1 with a leading zero in an address", text("PROXY TCP4 192.0.2.07 198.51.100.1 4242 443\r\n"), "no such address"],
  ["v1 with an octet too large", text("PROXY TCP4 192.0.2.256 198.51.100.1 4242 443\r\n"), "no such address"],
  ["v1 with three octets", text("PROXY TCP4 192.0.2 198.51.100.1 4242 443\r\n"), "no such address"],
  ["v1 with a name", text("PROXY TCP4 a.example 198.51.100.1 4242 443\r\n"), "no such address"],
  ["v1 with a zone", text("PROXY TCP6 fe80::1%eth0 ::1 4242 443\r\n"), "no such address"],
  ["v1 with a port too large", text("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n"), "no such port"],
  ["v1 with a leading zero in a port", text("PROXY TCP4 192.0.2.7 198.51.100.1 042 443\r\n"), "no such port"],
  ["v1 with a negative port", text("PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n"), "no such port"],
  ["v1 with an empty port", text("PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n"), "no such port"],
  ["v1 with a bare LF", text("PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\n"), "control octet"],
  ["v1 with a bare CR", text("PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\rx"), "bare CR"],
  ["v1 with a NUL", text("PROXY UNKNOWN \0\r\n"), "control octet"],
  ["v1 with an octet above ASCII", text("PROXY UNKNOWN \xff\r\n"), "control octet"],
  ["v1 without an end", text(`PROXY UNKNOWN ${"x".repeat(V1_LIMIT)}`), "header too long"],
  ["v1 one octet too long", text(`PROXY UNKNOWN ${"x".repeat(V1_LIMIT - 15)}\r\n`), "header too long"],
  ["v2 with a broken signature", text("\r\n\r\n\0\r\nQUIT\r"), "no header"],
  ["v2's signature cut by other octets", text("\r\n\r\nGET /"), "no header"],
  ["v2 of version 1", v2(0x11, four, 0x11), "unknown version or command"],
  ["v2 of version 3", v2(0x11, four, 0x31), "unknown version or command"],
  ["v2 with another command", v2(0x11, four, 0x22), "unknown version or command"],
  ["v2 with datagrams", v2(0x12, four), "unknown family"],
  ["v2 with another family", v2(0x41, four), "unknown family"],
  ["v2 with another transport", v2(0x13, four), "unknown family"],
  ["v2 with addresses cut short", v2(0x11, four.subarray(0, 11)), "header too short for its addresses"],
  ["v2 with IPv4 addresses called IPv6", v2(0x21, four), "header too short for its addresses"],
  ["v2 with a UNIX address cut short", v2(0x31, Buffer.alloc(215)), "header too short for its addresses"],
  ["v2 too long", v2(0x11, Buffer.alloc(V2_LIMIT - 15)), "header too long"],
  ["v2 much too long, by its head alone", v2(0x11, Buffer.alloc(0), 0x21, 65535), "header too long"],
  ["v2 LOCAL too long", v2(0x00, Buffer.alloc(0), 0x20, 65535), "header too long"],
  ["v2 with half a TLV's head", v2(0x11, Buffer.concat([four, Buffer.from([4, 0])])), "TLV cut short"],
  ["v2 with a TLV beyond its end", v2(0x11, Buffer.concat([four, tlv(4, "abc", 4)])), "TLV cut short"],
  ["v2 UNSPEC with a broken TLV", v2(0x00, Buffer.from([1])), "TLV cut short"],
  ["v2 with two authorities", v2(0x11, Buffer.concat([four, tlv(2, "a"), tlv(2, "b")])), "TLV given twice"],
  ["v2 with two unique IDs", v2(0x11, Buffer.concat([four, tlv(5, "a"), tlv(5, "a")])), "TLV given twice"],
  ["v2 with a unique ID too long", v2(0x11, Buffer.concat([four, tlv(5, "x".repeat(129))])), "unique ID too long"],
  ["v2 with a checksum of another length", v2(0x11, Buffer.concat([four, tlv(3, "abc")])), "wrong checksum"],
  ["v2 with a wrong checksum", v2(0x11, Buffer.concat([four, tlv(3, Buffer.alloc(4))])), "wrong checksum"],
  ["v2 with a checksum for other addresses", flipped(checksummed(), 16), "wrong checksum"],
]

function flipped(header: Buffer, at: number): Buffer {
  header[at] ^= 1
  return header
}

describe("a PROXY header", () => {
  test.each(accepted.map(([what, header, addresses, tlvs]) => ({ what, header, addresses, tlvs })))(
    "is read: $what",
    ({ header, addresses, tlvs }) => {
      const whole = { length: header.length, addresses, authority: "", uniqueId: "", ...tlvs }
      expect(readProxyHeader(header, 0, header.length)).toEqual(whole)
      // With octets before and behind it, that aren't its own.
      const among = Buffer.concat([Buffer.from("xyz"), header, Buffer.from("\r\nGET")])
      expect(readProxyHeader(among, 3, among.length)).toEqual(whole)
      for (let end = 0; end < header.length; end++) expect(readProxyHeader(header, 0, end)).toBe(UNFINISHED)
    },
  )

  test.each(refused)("is refused: %s", (_what, header, reason) => {
    expect(readProxyHeader(header, 0, header.length)).toBe(reason)
    let known: unknown = UNFINISHED
    for (let end = 0; end <= header.length; end++) {
      const result = readProxyHeader(header, 0, end)
      // What is refused stays refused, and nothing of it is ever taken for a header.
      if (known === UNFINISHED) expect([UNFINISHED, reason]).toContain(result)
      else expect(result).toBe(reason)
      known = result
    }
  })
})

describe("CRC-32C", () => {
  test("of the standard's octets", () => {
    expect(crc32c(Buffer.from("123456789"), 0, 9)).toBe(0xe3069283)
    expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa)
    expect(crc32c(Buffer.alloc(32, 255), 0, 32, 0)).toBe(crc32c(Buffer.concat([Buffer.alloc(4), Buffer.alloc(28, 255)]), 0, 32))
  })
})

describe("a PROXY header of ours", () => {
  const at = (host: string, port: number): { host: string; port: number } => ({ host, port })

  test.each([
    ["v1", at("192.0.2.7", 4242), at("198.51.100.1", 443), "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n"],
    ["v1", at("2001:db8::7", 4242), at("2001:db8::1", 443), "PROXY TCP6 2001:db8::7 2001:db8::1 4242 443\r\n"],
    ["v1", at("192.0.2.7", 4242), at("2001:db8::1", 443), "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 4242 443\r\n"],
    ["v1", at("", 0), at("198.51.100.1", 443), "PROXY UNKNOWN\r\n"],
    ["v2", at("192.0.2.7", 4242), at("198.51.100.1", 443), v2(0x11, four).toString("latin1")],
    ["v2", at("2001:db8::7", 4242), at("2001:db8::1", 443), v2(0x21, six).toString("latin1")],
    ["v2", at("", 0), at("198.51.100.1", 443), v2(0, Buffer.alloc(0)).toString("latin1")],
  ] as const)("%s from %o to %o is what the specification says", (version, source, destination, octets) => {
    expect(proxyHeader(version, source, destination).toString("latin1")).toBe(octets)
  })

  test.each(["192.0.2.7", "2001:db8::7", "::", "::1", "fe80::1:0:0:1", "1:0:2:0:3:0:4:0"])("from %s is read back", (source) => {
    for (const version of ["v1", "v2"] as const) {
      for (const destination of ["198.51.100.1", "2001:db8::1"]) {
        const header = proxyHeader(version, at(source, 1), at(destination, 65535), version === "v2" ? "a.example" : "")
        expect(readProxyHeader(header, 0, header.length)).toEqual({
          length: header.length,
          addresses: { sourceAddress: source, sourcePort: 1, destinationAddress: destination, destinationPort: 65535 },
          authority: version === "v2" ? "a.example" : "",
          uniqueId: "",
        })
      }
    }
  })

  test("of version 1 names nothing, and of version 2 the name the client asked for", () => {
    const source = at("192.0.2.7", 4242)
    expect(proxyHeader("v1", source, at("198.51.100.1", 443), "a.example").includes("a.example")).toBe(false)
    expect(proxyHeader("v2", source, at("198.51.100.1", 443), "a.example")).toEqual(v2(0x11, Buffer.concat([four, tlv(2, "a.example")])))
  })
})
