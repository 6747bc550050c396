import { describe, expect, test } from "vitest"
import { RequestHead } from "../../../gateway/http/message.ts"
import { clientAddress, ForwardedFields, type ForwardedSource } from "../../../gateway/proxy/forwarded.ts"

const PEER = "10.0.0.1"
const GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

function request(...fields: [string, string][]): RequestHead {
  const head = new RequestHead()
  head.authority = "shop.example:8080"
  for (const [name, value] of fields) head.fields.add(name, value)
  // What the parser notes of the fields it saw.
  head.saysForwarded = fields.some(([name]) => name.startsWith("x-") || name.startsWith("trace"))
  return head
}

function connection(forwardedClientCert = ""): ForwardedSource {
  const certificate = { subject: "", commonName: "", dnsNames: [], uris: [], sha256: "" }
  const tls = {
    version: "TLSv1.3",
    serverName: "",
    protocol: "",
    local: certificate,
    peer: certificate,
    peerIdentity: "",
    covers: () => true,
  }
  const security = forwardedClientCert === "" ? null : { ...tls, forwardedClientCert }
  return { sourceAddress: PEER, memo: { authority: "", text: "" }, security }
}

let drawn = 0
function forwarded(): ForwardedFields {
  return new ForwardedFields((octets) => {
    drawn++
    let digits = ""
    for (let i = 0; digits.length < octets * 2; i++) digits += ((i * 2_654_435_761) >>> 0).toString(16).padStart(8, "1")
    return digits.slice(0, octets * 2)
  })
}

function completed(head: RequestHead, trustedHops = 0): { id: string; of: (name: string) => string | undefined } {
  const id = forwarded().complete(head, connection(), trustedHops)
  return { id, of: (name) => head.fields.get(name) }
}

describe("a client's certificate", () => {
  const told = "Hash=ab;URI=spiffe://shop"

  test.each([1, 2])("is told to services, whatever the client says of one, in HTTP/%i", (major) => {
    const head = request()
    head.major = major as 1 | 2
    forwarded().complete(head, connection(told), 0)
    expect(head.fields.getAll("x-forwarded-client-cert")).toEqual([told])
    const forged = request(["x-forwarded-client-cert", "Hash=cd"], ["x-forwarded-client-cert", "Hash=ef"])
    forged.major = major as 1 | 2
    forwarded().complete(forged, connection(told), 1)
    expect(forged.fields.getAll("x-forwarded-client-cert")).toEqual([told])
  })

  test("is not made up by one without, not even behind a trusted proxy", () => {
    const head = request(["x-forwarded-client-cert", told])
    forwarded().complete(head, connection(), 2)
    expect(head.fields.has("x-forwarded-client-cert")).toBe(false)
  })
})

describe("a request that says nothing of its way", () => {
  test("gets it all", () => {
    const { id, of } = completed(request())
    expect(of("x-forwarded-for")).toBe(PEER)
    expect(of("x-forwarded-proto")).toBe("http")
    expect(of("x-forwarded-host")).toBe("shop.example:8080")
    expect(of("x-request-id")).toBe(id)
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(of("traceparent")).toMatch(new RegExp(`^00-${id}-[0-9a-f]{16}-00$`))
  })

  test("without an authority gets no host", () => {
    const head = request()
    head.authority = ""
    expect(completed(head).of("x-forwarded-host")).toBeUndefined()
  })

  test("has an id of its own, and randomness is drawn for many at once", () => {
    const fields = forwarded()
    const before = drawn
    const ids = Array.from({ length: 128 }, () => fields.complete(request(), connection(), 0))
    expect(new Set(ids).size).toBe(128)
    expect(drawn - before).toBe(1)
    fields.complete(request(), connection(), 0)
    expect(drawn - before).toBe(2)
  })
})

describe("requests of one connection", () => {
  test("have their own authority each", () => {
    const fields = forwarded()
    const source = connection()
    const hosts = ["a.example", "a.example", "b.example", "", "a.example"].map((authority) => {
      const head = request()
      head.authority = authority
      fields.complete(head, source, 0)
      expect(head.fields.getAll("x-forwarded-for")).toEqual([PEER])
      return head.fields.get("x-forwarded-host")
    })
    expect(hosts).toEqual(["a.example", "a.example", "b.example", undefined, "a.example"])
  })
})

describe("a request that says something of its way", () => {
  const says: [string, string][] = [
    ["x-forwarded-for", "1.1.1.1"],
    ["x-forwarded-for", "2.2.2.2"],
    ["x-forwarded-proto", "https"],
    ["x-forwarded-host", "outer.example"],
    ["x-request-id", "abc-123"],
  ]

  test("is not believed without a trusted proxy, but for the list that it lengthens", () => {
    const { of } = completed(request(...says))
    expect(of("x-forwarded-for")).toBe("1.1.1.1, 2.2.2.2, 10.0.0.1")
    expect(of("x-forwarded-proto")).toBe("http")
    expect(of("x-forwarded-host")).toBe("shop.example:8080")
    expect(of("x-request-id")).not.toBe("abc-123")
  })

  test("is believed with one", () => {
    const { id, of } = completed(request(...says), 1)
    expect(of("x-forwarded-for")).toBe("1.1.1.1, 2.2.2.2, 10.0.0.1")
    expect(of("x-forwarded-proto")).toBe("https")
    expect(of("x-forwarded-host")).toBe("outer.example")
    expect([id, of("x-request-id")]).toEqual(["abc-123", "abc-123"])
  })

  test("is not left with two values where one counts", () => {
    const head = request(
      ["x-forwarded-for", "1.1.1.1"],
      ["x-forwarded-for", "2.2.2.2"],
      ["x-forwarded-proto", "https"],
      ["x-forwarded-proto", "http"],
    )
    completed(head)
    for (const name of ["x-forwarded-for", "x-forwarded-proto", "x-request-id", "traceparent"])
      expect(head.fields.getAll(name)).toHaveLength(1)
  })

  test.each([
    ["x-forwarded-proto", "gopher", "http"],
    ["x-forwarded-proto", "HTTPS", "http"],
  ])("%s: %s becomes %s even from a trusted proxy", (name, value, wanted) => {
    expect(completed(request([name, value]), 1).of(name)).toBe(wanted)
  })

  test.each(["", "a b", 'a"b', "x".repeat(129), "a\tb", "{}"])("the request id %j is replaced even from a trusted proxy", (value) => {
    const { id, of } = completed(request(["x-request-id", value]), 1)
    expect(id).toMatch(/^[0-9a-f]{32}$/)
    expect(of("x-request-id")).toBe(id)
  })

  test("two request ids are replaced by one", () => {
    const head = request(["x-request-id", "one"], ["x-request-id", "two"])
    const { id } = completed(head, 1)
    expect(head.fields.getAll("x-request-id")).toEqual([id])
  })
})

describe("a trace that a tracer looks after", () => {
  test.each([[["traceparent", GOOD]], [["traceparent", "nonsense"]], [["tracestate", "a=b"]]] as [string, string][][])(
    "stays as it came: %j",
    (...fields) => {
      const head = request(...fields)
      forwarded().complete(head, connection(), 0, true)
      for (const name of ["traceparent", "tracestate"]) expect(head.fields.get(name)).toBe(fields.find(([each]) => each === name)?.[1])
      expect(head.fields.has("x-request-id")).toBe(true)
    },
  )

  test("begins here where nothing of one came", () => {
    const head = request()
    const id = forwarded().complete(head, connection(), 0, true)
    expect(head.fields.get("traceparent")).toMatch(new RegExp(`^00-${id}-[0-9a-f]{16}-00$`))
  })
})

describe("traceparent", () => {
  test("is kept when it is well-formed, with its tracestate", () => {
    for (const parent of [GOOD, `cc${GOOD.slice(2)}-more`]) {
      const { of } = completed(request(["traceparent", parent], ["tracestate", "a=b"]))
      expect([of("traceparent"), of("tracestate")]).toEqual([parent, "a=b"])
    }
  })

  test.each([
    GOOD.replace("00-", "ff-"),
    GOOD.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
    GOOD.replace("b7ad6b7169203331", "0".repeat(16)),
    GOOD.toUpperCase(),
    `${GOOD}x`,
    GOOD.slice(1),
    "",
  ])("%j is made anew, and its tracestate goes", (value) => {
    const { id, of } = completed(request(["traceparent", value], ["tracestate", "a=b"]))
    expect(of("traceparent")).toContain(`-${id}-`)
    expect(of("tracestate")).toBeUndefined()
  })

  test("sent twice is made anew", () => {
    const head = request(["traceparent", GOOD], ["traceparent", GOOD])
    completed(head)
    expect(head.fields.getAll("traceparent")).toHaveLength(1)
    expect(head.fields.get("traceparent")).not.toBe(GOOD)
  })
})

describe("the client's address", () => {
  function address(list: string[], hops: number): string {
    const head = request(...list.map((value): [string, string] => ["x-forwarded-for", value]))
    completed(head, hops)
    return clientAddress(head, PEER, hops)
  }

  test("is the peer's without trusted proxies, whatever is claimed", () => {
    expect(address(["9.9.9.9"], 0)).toBe(PEER)
  })

  test("is what the outermost trusted proxy saw; what stands before it is a claim", () => {
    expect(address(["9.9.9.9, 1.1.1.1"], 1)).toBe("1.1.1.1")
    expect(address(["9.9.9.9, 1.1.1.1, 2.2.2.2"], 2)).toBe("1.1.1.1")
    expect(address(["9.9.9.9", "1.1.1.1"], 1)).toBe("1.1.1.1")
  })

  test("is the first there is when the list is shorter than the trust", () => {
    expect(address(["1.1.1.1"], 5)).toBe("1.1.1.1")
    expect(address([], 2)).toBe(PEER)
    expect(address([""], 1)).toBe(PEER)
  })
})
