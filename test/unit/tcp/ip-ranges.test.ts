import { BlockList, isIP } from "node:net"
import { describe, expect, test } from "vitest"
import { formatIp, formatIpRange, parseIp, parseIpRange } from "../../../gateway/config/ip-address.ts"
import { Wrong } from "../../../gateway/config/units.ts"
import { IpRanges } from "../../../gateway/tcp/ip-ranges.ts"
import { Random } from "../../conformance/http1/cuts.ts"

describe("an IP address", () => {
  test.each([
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8::7", "2001:db8::7"],
    ["2001:db8:0:0:0:0:0:7", "2001:db8::7"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
    ["1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::ffff:a00:1", "10.0.0.1"],
    ["::10.0.0.1", "::a00:1"],
  ])("%s is %s", (text, shown) => {
    const address = parseIp(text)
    expect(address === null ? null : formatIp(address)).toBe(shown)
  })

  test.each([
    ...["", ".", ":", "1", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", " 1.2.3.4", "01.2.3.4", "1.2.3.256", "1.2.3.-4", "0x1.2.3.4", "1.2.3.4e0"],
    ...[
      ":::",
      "::1::",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "12345::",
      "g::",
      "::1%lo",
      "1:",
      ":1",
      "::1.2.3",
      "1.2.3.4::",
    ],
    ...["::1.2.3.4:5", "[::1]", "::ffff:1.2.3.04", `${"0:".repeat(30)}1`, "localhost", "١.٢.٣.٤"],
  ])("%o is none", (text) => {
    expect(parseIp(text)).toBe(null)
  })

  test("is what the runtime takes for one, in random texts", () => {
    const random = new Random(7)
    const pieces = ["1", "0", "ff", "ffff", ":", ":", "::", ".", "10.0.0.1", "255", "2001", "db8"]
    for (let i = 0; i < 20_000; i++) {
      let text = ""
      for (let n = random.below(16); n >= 0; n--) text += pieces[random.below(pieces.length)]
      expect([text, parseIp(text) !== null]).toEqual([text, isIP(text) !== 0])
    }
  })
})

describe("a range of IP addresses", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3"],
    ["10.1.2.3/32", "10.1.2.3"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["FD00::/8", "fd00::/8"],
    ["::1/128", "::1"],
    ["::/0", "::/0"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
  ])("%s is %s", (text, shown) => {
    const range = parseIpRange(text)
    expect(range instanceof Wrong ? range.message : formatIpRange(range)).toBe(shown)
  })

  test.each([
    ["10.0.0.1/8", "write 10.0.0.0/8, or 10.0.0.1 for the one address"],
    ["fd00::1/8", "write fd00::/8"],
    ["10.0.0.0/33", "write a number from 0 to 32"],
    ["::/129", "write a number from 0 to 128"],
    ["::ffff:10.0.0.0/8", "write a number from 96 to 128"],
    ["10.0.0.0/", "write a number from 0 to 32"],
    ["10.0.0.0/08", "write a number from 0 to 32"],
    ["10.0.0.0/8/8", "write a number from 0 to 32"],
    ["10/8", "is not an IP address or a range"],
    ["localhost", "is not an IP address or a range"],
  ])("%s is none", (text, remedy) => {
    const range = parseIpRange(text)
    expect(range instanceof Wrong ? range.message : "").toContain(remedy)
  })
})

describe("ranges of IP addresses", () => {
  test.each([
    [["10.0.0.0/8"], ["10.0.0.0", "10.255.255.255", "::ffff:10.1.1.1"], ["9.255.255.255", "11.0.0.0", "::a00:0", "", "x"]],
    [["0.0.0.0/0"], ["0.0.0.0", "255.255.255.255"], ["::", "::1"]],
    [["::/0"], ["::", "ffff::"], ["10.0.0.1", "::ffff:10.0.0.1"]],
    [["128.0.0.0/1"], ["128.0.0.0", "255.0.0.0"], ["127.255.255.255"]],
    [["::1"], ["::1"], ["::", "::2", "0.0.0.1"]],
    [["fd00::/8", "fd12::/16"], ["fd12::1", "fdff::"], ["fe00::"]],
    [
      ["10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "192.0.2.0/24"],
      ["10.1.2.3", "10.200.0.1", "192.0.2.255"],
      ["192.0.3.0", "172.16.0.1"],
    ],
    [["2001:db8::/33"], ["2001:db8:7fff:ffff::"], ["2001:db8:8000::"]],
    [[], [], ["10.0.0.1", "::1"]],
  ])("%o hold %o and not %o", (ranges, inside, outside) => {
    const set = new IpRanges(ranges)
    for (const address of inside) expect([address, set.has(address)]).toEqual([address, true])
    for (const address of outside) expect([address, set.has(address)]).toEqual([address, false])
  })

  test("hold what the runtime's block list holds, at random", () => {
    const random = new Random(11)
    for (let round = 0; round < 60; round++) {
      const list = new BlockList()
      const ranges: string[] = []
      for (let i = random.below(12); i >= 0; i--) {
        const bits = random.below(33)
        const word = (random.below(4) * 0x40000000 + random.below(16)) & (bits === 0 ? 0 : -1 << (32 - bits))
        const first = formatIp({ version: 4, words: [word >>> 0] })
        ranges.push(`${first}/${bits}`)
        list.addSubnet(first, bits, "ipv4")
      }
      const set = new IpRanges(ranges)
      for (let i = 0; i < 100; i++) {
        const address = formatIp({
          version: 4,
          words: [random.below(4) * 0x40000000 + random.below(1 << 30) * random.below(2) + random.below(16)],
        })
        expect([ranges, address, set.has(address)]).toEqual([ranges, address, list.check(address, "ipv4")])
      }
    }
  })
})
