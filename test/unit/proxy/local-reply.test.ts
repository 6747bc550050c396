import { describe, expect, test } from "vitest"
import { type ErrorCode, errors } from "../../../gateway/errors.ts"
import type { LocalReply } from "../../../gateway/filter/filter.ts"
import { RequestHead } from "../../../gateway/http/message.ts"
import { LocalReplies, type Reply } from "../../../gateway/proxy/local-reply.ts"

const replies = new LocalReplies()

function request(accept?: string): RequestHead {
  const head = new RequestHead()
  if (accept !== undefined) head.fields.add("accept", accept)
  return head
}

function expectSound({ head, body }: Reply): void {
  expect(head.fields.getAll("date")).toHaveLength(1)
  expect(Math.abs(Date.parse(head.fields.get("date") ?? "") - Date.now())).toBeLessThan(5000)
  if (head.status === 204 || head.status === 304 || head.status < 200) {
    expect([head.fields.has("content-length"), head.body, body.length]).toEqual([false, "none", 0])
  } else {
    expect(head.fields.getAll("content-length")).toEqual([String(body.length)])
    expect([head.body, head.contentLength]).toEqual(body.length === 0 ? ["none", 0] : ["length", body.length])
  }
}

describe("the reply of an error", () => {
  const codes = (Object.keys(errors) as ErrorCode[]).filter((code) => errors[code].status > 0)

  test.each(codes)("%s is its row as a line of text", (code) => {
    const reply = replies.error(code, request())
    expectSound(reply)
    expect([reply.head.status, reply.body.toString(), reply.head.fields.get("content-type")]).toEqual([
      errors[code].status,
      `${errors[code].text}\n`,
      "text/plain",
    ])
    expect(reply.head.reason).not.toBe("")
  })

  test("is a problem document when the client asks for one", () => {
    const reply = replies.error("connectFailure", request("text/html, application/problem+json;q=0.5"))
    expectSound(reply)
    expect(reply.head.fields.get("content-type")).toBe("application/problem+json")
    expect(JSON.parse(reply.body.toString())).toEqual({
      type: "about:blank",
      title: "Service Unavailable",
      status: 503,
      detail: "upstream connect failed",
      code: "connectFailure",
    })
  })

  test("is text for every other wish", () => {
    for (const accept of ["*/*", "application/json", "text/html", ""]) {
      expect(replies.error("noRoute", request(accept)).head.fields.get("content-type")).toBe("text/plain")
    }
  })
})

describe("the reply of a filter", () => {
  const made = (reply: Partial<LocalReply>): Reply =>
    replies.filter({ status: 200, body: Buffer.from("text"), headers: [], details: "", grpcStatus: -1, ...reply }, request())

  test("has its headers, and a type when it names none", () => {
    const plain = made({})
    expectSound(plain)
    expect(plain.head.fields.get("content-type")).toBe("text/plain")
    const typed = made({ headers: ["content-type", "application/json", "x-a", "1", "x-a", "2"] })
    expectSound(typed)
    expect(typed.head.fields.getAll("content-type")).toEqual(["application/json"])
    expect(typed.head.fields.getAll("x-a")).toEqual(["1", "2"])
  })

  test("has the length it has, whatever the filter says", () => {
    const reply = made({ headers: ["content-length", "99"] })
    expectSound(reply)
  })

  test.each([204, 304])("has no body with %i", (status) => {
    expectSound(made({ status }))
  })

  test("may be empty", () => {
    const reply = made({ body: new Uint8Array() })
    expectSound(reply)
    expect(reply.head.fields.has("content-type")).toBe(false)
  })

  test("takes its own part of a larger buffer", () => {
    expect(made({ body: new TextEncoder().encode("xxtextxx").subarray(2, 6) }).body.toString()).toBe("text")
  })
})

describe("the replies of routes", () => {
  test("a redirect has its place and no body", () => {
    const reply = replies.redirect(308, "https://a/b")
    expectSound(reply)
    expect([reply.head.status, reply.head.reason, reply.head.fields.get("location")]).toEqual([308, "Permanent Redirect", "https://a/b"])
  })

  test("a direct response has its status, headers and body", () => {
    const reply = replies.direct(418, Buffer.from("é"), ["x-kind", "pot", "date", "Thu, 01 Jan 1970 00:00:00 GMT"])
    expect(reply.head.fields.get("content-length")).toBe("2")
    expect(reply.head.fields.get("content-type")).toBe("text/plain; charset=utf-8")
    expect(reply.head.fields.getAll("date")).toEqual(["Thu, 01 Jan 1970 00:00:00 GMT"])
    expectSound(replies.direct(200, Buffer.alloc(0), []))
    expectSound(replies.direct(204, Buffer.alloc(0), []))
  })
})

describe("a gRPC client", () => {
  const call = (): RequestHead => {
    const head = new RequestHead()
    head.method = "POST"
    head.fields.add("content-type", "application/grpc+proto")
    return head
  }

  test("gets errors as a status of its own protocol", () => {
    const reply = replies.error("noEndpoint", call())
    expectSound(reply)
    expect([reply.head.status, reply.head.fields.get("content-type")]).toEqual([200, "application/grpc"])
    expect([reply.head.fields.get("grpc-status"), reply.head.fields.get("grpc-message")]).toEqual(["14", "no endpoint available"])
  })

  test.each([
    [403, -1, "7"],
    [429, -1, "14"],
    [418, -1, "2"],
    [403, 5, "5"],
    [200, 0, "0"],
  ])("gets a filter's %d with gRPC status %d as %s", (status, grpcStatus, sent) => {
    const reply = replies.filter(
      {
        status,
        body: Buffer.from("100% né\n"),
        headers: ["x-why", "yes", "grpc-status", "9", "content-type", "text/html"],
        details: "",
        grpcStatus,
      },
      call(),
    )
    expectSound(reply)
    expect(reply.head.status).toBe(200)
    expect(reply.head.fields.getAll("grpc-status")).toEqual([sent])
    expect(reply.head.fields.getAll("content-type")).toEqual(["application/grpc"])
    expect(reply.head.fields.get("grpc-message")).toBe("100%25 n%C3%A9")
    expect(reply.head.fields.get("x-why")).toBe("yes")
    expect(reply.body.length).toBe(0)
  })

  test.each([
    ["POST", "application/grpcx"],
    ["GET", "application/grpc"],
  ])("is none when it is a %s of %s", (method, type) => {
    const head = new RequestHead()
    head.method = method
    head.fields.add("content-type", type)
    expect(replies.error("noRoute", head).head.status).toBe(404)
    expect(replies.filter({ status: 403, body: Buffer.alloc(0), headers: [], details: "", grpcStatus: -1 }, head).head.status).toBe(403)
  })
})
