import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { AccessLogConfig } from "../../../gateway/config/access-log-model.ts"
import { parseTemplate } from "../../../gateway/config/access-template.ts"
import { Wrong } from "../../../gateway/config/units.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { AccessSelection } from "../../../gateway/telemetry/access-selection.ts"
import { compileFormat } from "../../../gateway/telemetry/compile-format.ts"
import { NotedFields } from "../../../gateway/telemetry/noted-fields.ts"
import { accessEntry } from "./support/access-entry.ts"

function compiled(format: AccessLogConfig["format"], redact: readonly string[] | null = null) {
  return compileFormat({ format, headers: { request: [], response: [] }, redact })
}

/** The line of a template, without its newline. */
function line(template: string, more: Parameters<typeof accessEntry>[0] = {}, redact: readonly string[] | null = null): string {
  const text = compiled({ kind: "template", template }, redact).format.line(accessEntry(more))
  expect(text.endsWith("\n")).toBe(true)
  return text.slice(0, -1)
}

const noted = (fields: Record<string, string>): NotedFields => new NotedFields(Object.keys(fields), Fields.from(Object.entries(fields)))

describe("operators", () => {
  const security = {
    version: "TLSv1.3",
    serverName: "shop.example.com",
    protocol: "h2",
    local: { subject: "CN=edge", commonName: "edge", dnsNames: ["edge"], uris: [], sha256: "aa" },
    peer: { subject: "CN=a,O=b", commonName: "a", dnsNames: ["a.example", "b.example"], uris: ["spiffe://mesh/a"], sha256: "bb" },
    peerIdentity: "spiffe://mesh/a",
    forwardedClientCert: "",
    covers: () => true,
  }
  const cases: [template: string, expected: string, more?: Parameters<typeof accessEntry>[0]][] = [
    ["%PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS%", "HTTP/1.1 200 -"],
    ["%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%", "UF,CT after_5_s", { flag: "UF,CT", flagDetails: "after 5 s" }],
    ["%DURATION% %durationMs% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "12 12.346 3 9", { duration: 12.3456, timeToFirstByte: 3.2 }],
    ["%RESPONSE_DURATION% %RESPONSE_TX_DURATION% %ttfbMs%", "- - -", { timeToFirstByte: -1 }],
    ["%BYTES_RECEIVED% %BYTES_SENT% %requestBytes% %responseBytes%", "5 1024 5 1024", { requestBytes: 5 }],
    ["%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%", "[::1]:80 ::1 80", { upstream: "[::1]:80" }],
    ["%UPSTREAM_HOST% %UPSTREAM_REMOTE_PORT% %UPSTREAM_CLUSTER%", "- - -", { upstream: "", service: "" }],
    ["%ROUTE_NAME% %UPSTREAM_CLUSTER% %listener% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "api users edge 3", { attempts: 3 }],
    ["%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%", "10.1.1.1:4711 10.1.1.1 4711"],
    ["%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%", "10.1.1.254:4711 10.0.0.1:8080 8080"],
    ["%DOWNSTREAM_LOCAL_ADDRESS%", "[::1]:8080", { destinationAddress: "::1" }],
    ["%CONNECTION_ID% %STREAM_ID% %requestId% %TRACE_ID%", "7 r-1 r-1 -"],
    ["%TRACE_ID% %traceId%", "0af7 0af7", { traceId: "0af7" }],
    ["%ACCESS_LOG_TYPE% %open%", "DownstreamEnd -"],
    ["%ACCESS_LOG_TYPE% %open%", "DownstreamPeriodic true", { open: true }],
    ["%ACCESS_LOG_TYPE% %open%", "TcpPeriodic true", { open: true, protocol: "TCP" }],
    ["%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER% %grpcStatus%", "- - - - -"],
    ["%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)%", "DeadlineExceeded DEADLINE_EXCEEDED 4", { grpcStatus: 4 }],
    ["%GRPC_STATUS% %GRPC_STATUS(NUMBER)% %grpcStatus%", "none - none", { grpcStatus: 18 }],
    ["%REQUESTED_SERVER_NAME% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_SUBJECT%", "- - -"],
    [
      "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN% %DOWNSTREAM_PEER_FINGERPRINT_256% %peer% %DOWNSTREAM_LOCAL_SUBJECT% %DOWNSTREAM_LOCAL_URI_SAN% %REQ(:SCHEME)%",
      "TLSv1.3 CN=a,O=b spiffe://mesh/a a.example,b.example bb spiffe://mesh/a CN=edge - https",
      { security },
    ],
    ["%REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(:PATH)% %REQ(:SCHEME)% %REQ(X-REQUEST-ID)%", "GET shop.example.com /a http r-1"],
    ["%REQ(X-A?X-B)% %REQ(X-B?:PATH):2% %REQUEST_HEADER(x-none)%", "b b -", { requestFields: noted({ "x-b": "b" }) }],
    [
      "%RESP(x-cache)% %RESPONSE_HEADER(:STATUS)% %TRAILER(grpc-message)%",
      "HIT 200 oops",
      { responseFields: noted({ "x-cache": "HIT" }), trailerFields: noted({ "grpc-message": "oops" }) },
    ],
    ["%START_TIME%", "2026-01-02T03:04:05.007Z"],
    ["%time%", "2026-01-02T03:04:05.007Z"],
    ["%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%", "2026/01/02T03:04:05+0000 1767323045"],
    ["%START_TIME(%s.%3f %6f %9f %f %E1S)%", "1767323045.007 007250 007250000 007250000 05.0"],
    [
      "%START_TIME(%a %A %b %B %e %j %y %I %p %F %T %R %D %Z %u %w %%)%",
      "Fri Friday Jan January  2 002 26 03 AM 2026-01-02 03:04:05 03:04 01/02/26 UTC 5 5 %",
    ],
    ["100%% of %method%", "100% of GET"],
    ["no operator", "no operator"],
  ]
  test.each(cases)("%s", (template, expected, more = {}) => {
    expect(line(template, more)).toBe(expected)
  })

  test("texts are cut to what they are given, else to 512, paths to 2048", () => {
    const long = "a".repeat(9000)
    const fields = { userAgent: long, path: long, requestFields: noted({ "x-a": long }) }
    for (const [template, length] of [
      ["%userAgent%", 512],
      ["%userAgent:8%", 8],
      ["%userAgent:600%", 600],
      ["%path%", 2048],
      ["%REQ(:PATH)%", 2048],
      ["%REQ(x-a)%", 512],
      ["%REQ(x-a):8192%", 8192],
    ] as const) {
      expect(line(template, fields).length).toBe(length)
    }
  })

  test("secrets are shown by name only, or as `redact` says", () => {
    const requestFields = noted({ authorization: "Bearer x", cookie: "a=b", "x-api-key": "k", "x-user": "u" })
    const template = "%REQ(authorization)% %REQ(Cookie)% %REQ(x-api-key)% %REQ(x-user)% %REQ(x-secret)%"
    expect(line(template, { requestFields })).toBe("[redacted] [redacted] [redacted] u -")
    expect(line(template, { requestFields }, [])).toBe("Bearer x a=b k u -")
    expect(line(template, { requestFields }, ["x-user"])).toBe("Bearer x a=b k [redacted] -")
  })

  test("fields are asked for only where a template names them", () => {
    const { request, response, trailer } = compiled({
      kind: "template",
      template: "%REQ(:PATH)% %REQ(x-a?x-b)% %RESP(x-c)% %TRAILER(x-d)%",
    })
    expect([request, response, trailer]).toEqual([["x-a", "x-b"], ["x-c"], ["x-d"]])
  })
})

describe("fields of JSON", () => {
  const json = (fields: Record<string, string>, more: Parameters<typeof accessEntry>[0] = {}): unknown =>
    JSON.parse(compiled({ kind: "fields", fields }).format.line(accessEntry(more)))

  test("are numbers where they are one number, texts otherwise, and left out where there is nothing", () => {
    expect(
      json({
        a: "%RESPONSE_CODE%",
        b: "%RESPONSE_CODE%ms",
        c: "%durationMs%",
        d: "%RESPONSE_FLAGS%",
        e: "x",
        f: "%RESPONSE_FLAGS% %path%",
        g: "%BYTES_SENT:2%",
      }),
    ).toEqual({ a: 200, b: "200ms", c: 1.235, e: "x", f: "- /a", g: "10" })
    expect([
      json({ a: "%grpcStatus%" }, { grpcStatus: 14 }),
      json({ a: "%grpcStatus%" }, { grpcStatus: 17 }),
      json({ a: "%grpcStatus%" }),
    ]).toEqual([{ a: 14 }, { a: "other" }, {}])
  })

  test("have names that need escapes", () => {
    expect(json({ 'a"b\\': "%method%" })).toEqual({ 'a"b\\': "GET" })
  })
})

describe("anything a client sends", () => {
  const units = fc.array(
    fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0x22, 0x5c, 0x0a, 0x0d)),
    {
      maxLength: 60,
    },
  )

  test("stays one line of text, within its quotes, and can be read back", () => {
    fc.assert(
      fc.property(units, (codes) => {
        const text = String.fromCharCode(...codes)
        const written = line('"%REQ(x-a)%" %RESPONSE_CODE%', { requestFields: noted({ "x-a": text }) })
        expect(written).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
        expect(written.endsWith('" 200')).toBe(true)
        expect(JSON.parse(written.slice(0, -4))).toBe(text === "" ? "-" : text)
      }),
      { numRuns: 2000 },
    )
  })

  test("stays one object of JSON", () => {
    const { format } = compiled({
      kind: "fields",
      fields: { a: "%REQ(x-a)%", b: "<%REQ(x-a)%>", c: "%status%" },
    })
    fc.assert(
      fc.property(units, (codes) => {
        const text = String.fromCharCode(...codes)
        const written = format.line(accessEntry({ requestFields: noted({ "x-a": text }) }))
        expect(written.indexOf("\n")).toBe(written.length - 1)
        expect(JSON.parse(written)).toEqual(text === "" ? { b: "<->", c: 200 } : { a: text, b: `<${text}>`, c: 200 })
      }),
      { numRuns: 2000 },
    )
  })
})

describe("the parser of templates", () => {
  const pieces = fc.constantFrom(
    "%",
    "%%",
    "(",
    ")",
    ":",
    "?",
    "REQ",
    "START_TIME",
    "DURATION",
    "x-a",
    ":PATH",
    "5",
    "%3f",
    "%E3S",
    "s",
    "a",
    " ",
    "99999",
    "\n",
    "é",
  )

  test("takes or refuses whatever it is given, and what it takes makes a line", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(pieces, { maxLength: 16 }).map((each) => each.join("")),
          fc.string({ maxLength: 40 }),
        ),
        (template) => {
          const parsed = parseTemplate(template)
          if (parsed instanceof Wrong) {
            expect(parsed.message).toMatch(/[;,] /)
            expect(parsed.message.length).toBeLessThan(400)
            return
          }
          const written = compiled({ kind: "template", template }).format.line(accessEntry())
          expect(written.indexOf("\n")).toBe(written.length - 1)
        },
      ),
      { numRuns: 3000 },
    )
  })

  test.each([
    ["%RESPONS_CODE%", '"%RESPONS_CODE%" is not known; did you mean "RESPONSE_CODE"?'],
    ["%duration%", '"%duration%" is not known; did you mean "DURATION"?'],
    ["%requestid%", '"%requestid%" is not known; did you mean "requestId"?'],
    ["50%", '"%" is no operator; write one such as %REQ(x-user)%, or %% for a percent sign'],
    ["%REQ(a", '"%REQ(a" has no ")"; close the parenthesis'],
    ["%REQ%", "%REQ% needs the name of a field; write one such as %REQ(x-user)%"],
    ["%REQ(a?b?c)%", "%REQ(a?b?c)% has more than one name to fall back on; write %REQ(x-first?x-second)%"],
    ["%REQ(:STATUS)%", '":status" in %REQ(…)% is no name of a field; write one such as x-user, or :authority, :method, :path, :scheme'],
    ["%RESP(a b)%", '"a b" in %RESP(…)% is no name of a field; write one such as x-user, or :status'],
    ["%REQ(a):0%", '"%REQ(a):0%" is cut to no length; write 1 to 8192 behind the colon, such as %REQ(x-user):20%'],
    ["%DURATION(ms)%", "%DURATION% takes nothing in parentheses; write %DURATION%"],
    ["%GRPC_STATUS(X)%", "%GRPC_STATUS(X)% is not known; write CAMEL_STRING, SNAKE_STRING or NUMBER"],
    ["%START_TIME:5%", "%START_TIME% can't be cut; write its form in parentheses, such as %START_TIME(%s)%"],
  ])("refuses %s", (template, message) => {
    const parsed = parseTemplate(template)
    expect(parsed instanceof Wrong ? parsed.message : parsed).toBe(message)
  })

  test("bounds what one template can ask for", () => {
    expect(parseTemplate("%path%".repeat(65))).toBeInstanceOf(Wrong)
    expect(parseTemplate("%path%".repeat(64))).toHaveLength(64)
    expect(parseTemplate("a".repeat(4097))).toBeInstanceOf(Wrong)
  })
})

describe("conditions", () => {
  const all = { status: [], slowerThan: 0, sample: 1, keepErrors: true }
  const takes = (when: AccessLogConfig["when"], only: AccessLogConfig["only"], random = 0) =>
    new AccessSelection({ when, only }, () => random)

  test("hold together, and failures pass unless they are said not to", () => {
    const slow = takes("all", {
      ...all,
      status: [
        [500, 599],
        [404, 404],
      ],
      slowerThan: 100,
    })
    expect([slow.takes("", 500, 101), slow.takes("", 404, 101), slow.takes("", 404, 100), slow.takes("", 200, 101)]).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect([slow.takes("UF", 503, 1), slow.takes("DC", 0, 1)]).toEqual([true, true])
    const strict = takes("all", { ...all, slowerThan: 100, keepErrors: false })
    expect([strict.takes("UF", 503, 1), strict.takes("UF", 503, 200)]).toEqual([false, true])
    // A connection has no status to be judged by.
    expect(takes("all", { ...all, status: [[500, 599]] }).takes("", 0, 1)).toBe(true)
  })

  test("a sample is drawn of what passes the others", () => {
    for (const [random, taken] of [
      [0.09, true],
      [0.1, false],
    ] as const) {
      const sampled = takes("all", { ...all, sample: 0.1 }, random)
      expect([sampled.takes("", 200, 1), sampled.takes("UF", 503, 1)]).toEqual([taken, true])
    }
  })

  test("`errors` goes by flags alone, `off` takes nothing", () => {
    expect([takes("errors", null).takes("", 503, 1), takes("errors", null).takes("UF", 503, 1)]).toEqual([false, true])
    expect(takes("errors", { ...all, slowerThan: 10, keepErrors: false }).takes("UF", 503, 1)).toBe(false)
    expect(takes("off", null).takes("UF", 503, 1)).toBe(false)
  })
})
