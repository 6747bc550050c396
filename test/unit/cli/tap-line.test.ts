import { expect, test, vi } from "vitest"
import { paintFor } from "../../../gateway/cli/colour.ts"
import { main } from "../../../gateway/cli/main.ts"
import { tapText } from "../../../gateway/cli/tap-line.ts"
import type { TapAttempt, TapEvent } from "../../../gateway/tap/event.ts"

const attempt: TapAttempt = {
  endpoint: "10.0.0.4:9001",
  start: 0.3,
  connection: -1,
  upstream: -1,
  took: 20,
  reused: false,
  hedged: false,
  status: 0,
  failed: "connectFailure",
  details: "ECONNREFUSED",
}
const event: TapEvent = {
  time: "2026-01-02T11:26:06.744Z",
  worker: 1,
  listener: "edge",
  protocol: "HTTP/1.1",
  method: "GET",
  path: "/cart",
  authority: "shop.example",
  source: "127.0.0.1:5",
  id: "id-1",
  route: "shop",
  service: "cart",
  endpoint: "10.0.0.5:9001",
  status: 200,
  flag: "",
  flagDetails: "",
  duration: 74.6,
  requestBytes: 0,
  responseBytes: 2,
  phases: { filters: 0.3, retries: 20, connection: 0.1, upstream: 54, body: 0.2, total: 74.6 },
  attempts: [
    attempt,
    {
      ...attempt,
      endpoint: "10.0.0.5:9001",
      start: 20.3,
      connection: 0.1,
      upstream: 54,
      took: 54.3,
      reused: true,
      status: 200,
      failed: "",
    },
  ],
  filters: [
    { name: "auth", phase: "request headers", start: 0.1, took: 0.2, waited: 12, outcome: "pause", added: ["x-user"], removed: ["cookie"] },
    { name: "auth", phase: "response headers", start: 74, took: 0.1, outcome: "continue" },
  ],
  requestHeaders: [["accept", "*/*"]],
  responseHeaders: [["server", "\u001b[2Jx"]],
}
const plain = (text: string): string => text

test("an exchange is one line for people", () => {
  expect(tapText(event, plain, false)).toBe(
    "11:26:06.744 GET /cart 200 75ms shop → cart → 10.0.0.5:9001 2 attempts (connectFailure, 200) [auth 0.3ms pause]\n",
  )
})

test("an exchange that went wrong before it had a route says why", () => {
  const { attempts: _, filters: __, phases: ___, ...rest } = event
  const lost: TapEvent = { ...rest, route: "", service: "", endpoint: "", status: 0, flag: "DC", flagDetails: "gone" }
  expect(tapText(lost, plain, false)).toBe("11:26:06.744 GET /cart none DC 75ms edge\n")
  expect(tapText(lost, plain, true)).toContain("    why      gone\n")
})

test("with everything that is known there are more lines, and none drives a terminal", () => {
  const lines = tapText(event, plain, true).split("\n")
  expect(lines).toContain("    time     filters 0.3ms, retries 20ms, connection 0.1ms, upstream 54ms, body 0.2ms, total 75ms")
  expect(lines).toContain("    attempt  10.0.0.4:9001, connectFailure, ECONNREFUSED, began after 0.3ms, took 20ms")
  expect(lines).toContain("    filter   auth, request headers, 0.2ms, pause, held it for 12ms, +x-user -cookie")
  expect(lines).toContain("    > accept: */*")
  expect(lines).toContain("    < server: \ufffd[2Jx")
})

test("colours are for terminals whose user wants them", () => {
  expect(paintFor({ isTTY: true }, {})("x", "red")).toBe("\u001b[31mx\u001b[0m")
  for (const [stream, environment] of [
    [{ isTTY: true }, { NO_COLOR: "1" }],
    [{ isTTY: true }, { TERM: "dumb" }],
    [{}, {}],
  ] as const)
    expect(paintFor(stream, environment)("x", "red")).toBe("x")
})

test("a tap that asks for what there isn't is a wrong call", async () => {
  let told = ""
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    told += String(text)
    return true
  })
  expect(await main(["tap", "--status", "9xx"])).toBe(2)
  vi.restoreAllMocks()
  expect(told).toBe(
    'sluice tap: --status: "9xx" is not a status; write one (404), a class (5xx), a range (500-503) or none; see sluice tap --help\n',
  )
})
