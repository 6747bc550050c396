import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { formatGrpcTimeout, isGrpcType, parseGrpcTimeout } from "../../../gateway/http/grpc.ts"
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  grpcCodes,
  NO_STATUS,
  OTHER_STATUS,
  parseGrpcStatus,
} from "../../../gateway/http/grpc-status.ts"
import { anyCharacter } from "../../support/any-character.ts"

describe("a content type", () => {
  test.each<[string | undefined, boolean]>([
    ["application/grpc", true],
    ["application/grpc+proto", true],
    ["Application/gRPC;charset=utf-8", true],
    ["application/grpc ; x=y", true],
    ["application/grpc-web", false],
    ["application/grpc-web+proto", false],
    ["application/grpcx", false],
    ["application/grp", false],
    ["text/html", false],
    ["", false],
    [undefined, false],
  ])("%s is gRPC: %s", (type, expected) => {
    expect(isGrpcType(type)).toBe(expected)
  })
})

describe("grpc-timeout", () => {
  test.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["15S", 15_000],
    ["250m", 250],
    ["1500u", 1.5],
    ["1000000n", 1],
    ["0S", 0],
    ["0n", 0],
    ["00000001S", 1000],
    ["99999999H", 359_999_996_400_000],
  ])("%s is %d ms", (text, ms) => {
    expect(parseGrpcTimeout(text)).toBeCloseTo(ms, 6)
  })

  test.each([
    "",
    "S",
    "1",
    "1s",
    "1h",
    "123456789S",
    "-1S",
    "+1S",
    "1.5S",
    "1 S",
    " 1S",
    "1S ",
    "1mS",
    "1S,1S",
    "1S, 2S",
    "0x1S",
    "١S",
    "1µ",
  ])("%j is malformed", (text) => {
    expect(parseGrpcTimeout(text)).toBe(-1)
  })

  test.each([
    [0, "1m"],
    [0.2, "1m"],
    [15_000, "15000m"],
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [100_000_000_000, "1666667M"],
    [Number.MAX_SAFE_INTEGER, "99999999H"],
  ])("%d ms are written %s", (ms, text) => {
    expect(formatGrpcTimeout(ms)).toBe(text)
  })

  test("written and read again is never shorter, and longer by less than a unit", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 3e14, noNaN: true }), (ms) => {
        const again = parseGrpcTimeout(formatGrpcTimeout(ms))
        expect(again).toBeGreaterThanOrEqual(ms)
        expect(again).toBeLessThan(ms + (ms < 99_999_999 ? 1.001 : ms < 1e11 ? 1002 : ms < 6e12 ? 61_002 : 3_661_002))
      }),
    )
  })

  test("of any text gives a time or -1", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), (text) => {
        const ms = parseGrpcTimeout(text)
        expect(ms >= 0).toBe(/^[0-9]{1,8}[HMSmun]$/.test(text))
        if (ms < 0) expect(ms).toBe(-1)
      }),
    )
  })
})

describe("grpc-status", () => {
  test("has a name for each of its codes", () => {
    expect(grpcCodes.map((_, code) => parseGrpcStatus(String(code)))).toEqual(grpcCodes.map((_, code) => code))
    expect(grpcCodes[14]).toBe("UNAVAILABLE")
  })

  test.each(["17", "99", "-1", "", "00", "01", "1 ", "a", "1x", "100", "1,2"])("%j is another", (text) => {
    expect(parseGrpcStatus(text)).toBe(OTHER_STATUS)
  })

  test("may be missing", () => {
    expect(parseGrpcStatus(undefined)).toBe(NO_STATUS)
  })
})

describe("grpc-message", () => {
  test("is percent-encoded where it isn't printable ASCII", () => {
    expect(encodeGrpcMessage("50% of ü\n")).toBe("50%25 of %C3%BC%0A")
  })

  test.each([
    ["plain", "plain"],
    ["%C3%BC", "ü"],
    ["%zz %", "%zz %"],
    ["%41%", "A%"],
  ])("%j reads %j", (value, text) => {
    expect(decodeGrpcMessage(value)).toBe(text)
  })

  test("comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 40 }), (text) => {
        const value = encodeGrpcMessage(text)
        expect(value).toMatch(/^[\x20-\x7e]*$/)
        expect(decodeGrpcMessage(value)).toBe(Buffer.from(text, "utf8").toString("utf8"))
      }),
    )
  })
})
