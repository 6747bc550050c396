import { describe, expect, test } from "vitest"
import { MessageWriter } from "../../../gateway/http/protobuf.ts"
import { descriptorKey } from "../../../gateway/rate-limit/descriptor.ts"
import { rateLimitRequest, readRateLimitResponse } from "../../../gateway/rate-limit/rls-messages.ts"

const OK = 1
const OVER_LIMIT = 2

function header(key: string, value: string, raw = ""): Buffer {
  return new MessageWriter().octets(1, key).octets(2, value).octets(3, raw).take()
}

function status(code: number, limit: number, unit: number, remaining: number, reset = -1): Buffer {
  const writer = new MessageWriter().number(1, code)
  if (limit >= 0) writer.octets(2, new MessageWriter().number(1, limit).number(2, unit).take())
  writer.number(3, remaining)
  if (reset >= 0) writer.octets(4, new MessageWriter().number(1, reset).take())
  return writer.take()
}

test("a request has its fields where the API has them", () => {
  const bytes = rateLimitRequest("shop", [[{ key: "a", value: "b" }], [{ key: "c", value: "" }]], 300)
  expect(bytes.toString("hex")).toBe(
    // domain; descriptor { entry { "a", "b" } }; descriptor { entry { "c" } }; hits_addend
    `0a04${Buffer.from("shop").toString("hex")}12080a060a0161120162${"1205"}0a030a0163${"18ac02"}`,
  )
})

describe("an answer", () => {
  const read = (writer: MessageWriter, descriptors = 2): ReturnType<typeof readRateLimitResponse> =>
    readRateLimitResponse(writer.take(), descriptors)

  test.each([
    [OK, true],
    [OVER_LIMIT, false],
  ])("of code %i passes: %s", (code, allowed) => {
    expect(read(new MessageWriter().number(1, code))).toEqual({ allowed, statuses: [], requestHeaders: [], responseHeaders: [] })
  })

  test.each([0, 3, 2 ** 31])("of code %i is none", (code) => {
    expect(read(new MessageWriter().number(1, code))).toBe(null)
  })

  test("tells the figures of each descriptor, and of no more than were asked about", () => {
    const writer = new MessageWriter().number(1, OVER_LIMIT)
    for (const each of [status(OK, 10, 2, 4), status(OVER_LIMIT, 7, 1, 0, 31), status(OK, 1, 1, 1)]) writer.octets(2, each)
    expect(read(writer)?.statuses).toEqual([
      { over: false, limit: 10, remaining: 4, reset: 60_000 },
      { over: true, limit: 7, remaining: 0, reset: 31_000 },
    ])
    expect(read(new MessageWriter().number(1, OK).octets(2, status(OK, -1, 0, 9)))?.statuses).toEqual([
      { over: false, limit: -1, remaining: 9, reset: 0 },
    ])
    expect(read(new MessageWriter().number(1, OK).octets(2, status(OK, 5, 99, 1, 2 ** 32 - 1)))?.statuses[0].reset).toBe(366 * 86_400_000)
  })

  test("adds the fields that may stand in a message, and no others", () => {
    const writer = new MessageWriter().number(1, OK)
    const given = [
      header("X-Plan", "gold"),
      header("x-raw", "", "\xe4"),
      header("Connection", "close"),
      header(":status", "200"),
      header("host", "evil"),
      header("x-split", "a\r\nb: c"),
      header("", "nameless"),
      header("x space", "a"),
    ]
    for (const each of given) writer.octets(3, each)
    writer.octets(4, header("x-tier", "1"))
    const answer = read(writer)
    expect(answer?.responseHeaders).toEqual(["x-plan", "gold", "x-raw", Buffer.from("\xe4").toString("latin1")])
    expect(answer?.requestHeaders).toEqual(["x-tier", "1"])
  })

  test("adds no more fields than may be", () => {
    const many = new MessageWriter().number(1, OK)
    for (let i = 0; i < 100; i++) many.octets(3, header(`x-${i}`, "a"))
    expect(read(many)?.responseHeaders.length).toBe(64)
    const long = new MessageWriter().number(1, OK)
    for (let i = 0; i < 10; i++) long.octets(3, header("x", "a".repeat(5000)))
    expect(read(long)?.responseHeaders.length).toBe(6)
  })

  test("cut off or changed anywhere is read or refused, never thrown at", () => {
    const whole = new MessageWriter()
      .number(1, OVER_LIMIT)
      .octets(2, status(OVER_LIMIT, 7, 1, 0, 31))
      .octets(3, header("x-a", "b"))
      .take()
    for (let length = 0; length < whole.length; length++) readRateLimitResponse(whole.subarray(0, length), 1)
    expect(readRateLimitResponse(whole.subarray(0, whole.length - 1), 1)).toBe(null)
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(whole)
        changed[at] ^= 1 << bit
        readRateLimitResponse(changed, 1)
      }
    }
  })
})

test("descriptors have the keys that Envoy's users know", () => {
  const by = ["source", "host", "path", "path:2", "header:x-user", "cookie:session", "query:key", "claim:org.id"]
  expect(by.map(descriptorKey)).toEqual(["remote_address", "host", "path", "path_2", "x-user", "session", "key", "org.id"])
})
