// JSON, encodings, digests, dates, addresses and patterns: each asked of one compiled filter with a JSON body.

import { createHash, createHmac, createSign, generateKeyPairSync, sign } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { TestFilter } from "../../../gateway/testing/testing.ts"
import { FakeHost } from "./fake-host.ts"
import { FilterBench } from "./run-filter.ts"

const bench = new FilterBench()

const KITCHEN = `import { base64, base64url, Body, Cidr, CidrSet, constantTimeEquals, Cookie, hex, hmacSha1, hmacSha256, hmacSha384, hmacSha512, httpDate, isoDate, Json, parseHttpDate, parseIsoDate, Pattern, PatternSet, percent, randomBytes, Reply, Request, sha1, sha256, sha384, sha512, strings, utf8, verifySignature } from "sluice/sdk"
function text(value: string | null): Json { return Json.of(value) }
function bytes(value: Uint8Array | null): Json { return value === null ? Json.none() : Json.of(hex.encode(value)) }
function run(op: string, a: string, b: string, args: Json): Json {
  if (op == "base64") return Json.array().push(base64.encode(a)).push(base64url.encode(a)).push(hex.encode(a)).push(base64.encode(utf8.encode(a)))
  if (op == "base64.decode") return Json.array().push(bytes(base64.decode(a))).push(bytes(base64url.decode(a))).push(text(base64.decodeText(a))).push(text(base64url.decodeText(a)))
  if (op == "hex.decode") return Json.array().push(bytes(hex.decode(a))).push(text(hex.decodeText(a)))
  if (op == "percent") return Json.array().push(percent.encode(a)).push(percent.decode(a))
  if (op == "utf8") { const octets = hex.decode(a); return octets === null ? Json.none() : Json.array().push(utf8.isValid(octets)).push(utf8.decode(octets)) }
  if (op == "sha") return Json.array().push(bytes(sha1(a))).push(bytes(sha256(a))).push(bytes(sha384(a))).push(bytes(sha512(utf8.encode(a))))
  if (op == "hmac") return Json.array().push(bytes(hmacSha1(a, b))).push(bytes(hmacSha256(utf8.encode(a), b))).push(bytes(hmacSha384(a, utf8.encode(b)))).push(bytes(hmacSha512(a, b)))
  if (op == "equals") return Json.of(constantTimeEquals(a, utf8.encode(b)))
  if (op == "verify") { const signature = base64url.decode(args.find("3").asString()); return Json.of(signature !== null && verifySignature(a, b, signature, args.find("4").asString())) }
  if (op == "random") { const one = randomBytes(16); const two = randomBytes(16); const none = randomBytes(0); if (one === null || two === null || none === null) return Json.none(); return Json.of(one.length == 16 && none.length == 0 && !constantTimeEquals(one, two) && randomBytes(1 << 20) === null) }
  if (op == "dates") { const time = args.find("1").asInt(); return Json.array().push(httpDate(time)).push(isoDate(time)).push(parseHttpDate(httpDate(time))).push(parseIsoDate(isoDate(time))) }
  if (op == "parseDates") return Json.array().push(parseHttpDate(a)).push(parseIsoDate(a))
  if (op == "cidr") { const cidr = Cidr.parse(a); return cidr === null ? Json.none() : Json.of(cidr.contains(b)) }
  if (op == "cidrs") { const set = new CidrSet(); const list = args.find("1").values(); for (let i = 0; i < list.length; i++) if (!set.add(list[i].asString())) return Json.of(i); return Json.of(set.contains(b)) }
  if (op == "pattern") return Json.array().push(new Pattern(a).matches(b)).push(new Pattern(a, true).matches(b))
  if (op == "patterns") return Json.of(new PatternSet(a.split(" ")).matches(b))
  if (op == "strings") { const list = strings.list(a); const all = Json.array(); for (let i = 0; i < list.length; i++) all.push(list[i]); return Json.array().push(strings.lower(a)).push(strings.upper(a)).push(strings.int(a, -7)).push(strings.equalsIgnoreCase(a, b)).push(all) }
  if (op == "json") { const json = Json.parse(a); return json.valid ? json : Json.object().set("error", json.error).set("type", json.type).set("at", json.find("a.b").asString("none")) }
  if (op == "find") { const all = Json.array(); const found = Json.parse(a).findAll(b); for (let i = 0; i < found.length; i++) all.push(found[i]); return all }
  if (op == "put" || op == "remove" || op == "rename") {
    const json = Json.parse(a)
    const copy = json.clone()
    const value = args.find("3")
    const count = op == "put" ? json.put(b, value) : op == "remove" ? json.remove(b) : json.rename(b, value.asString())
    return Json.array().push(count).push(json).push(json.equals(copy)).push(copy.equals(Json.parse(a)))
  }
  if (op == "equalJson") return Json.of(Json.parse(a).equals(Json.parse(b)))
  if (op == "as") { const json = Json.parse(a); return Json.array().push(json.type).push(json.asString("-")).push(json.asNumber(-1)).push(json.asInt(-1)).push(json.asBool(true)).push(json.length).push(json.isArray).push(json.get("k") === null).push(json.at(-1) === null).push(json.string("k", "-")).push(json.int("k", -1)).push(json.bool("k")).push(json.number("k", -1)).push(json.keys().length).push(json.values().length) }
  if (op == "build") return Json.object().set("s", "x\\"\\\\\\n\\u0001").set("i", 5).set("f", 1.5).set("b", true).set("n", Json.none()).set("big", i64.MAX_VALUE).set("nan", NaN).set("list", Json.array().push(1).push("x").set("no", 1)).set("gone", 1).push(1).set("s2", "€😀")
  if (op == "deep") { let json = Json.array(); for (let i = 0; i < 10000; i++) json = Json.array().push(json); return Json.of(json.stringify().length + (json.equals(json.clone()) ? 1 : 0)) }
  if (op == "cookie") { const cookie = new Cookie(a, b); const plain = cookie.toString(); cookie.domain = "d"; cookie.path = ""; cookie.maxAge = 0; cookie.secure = true; cookie.httpOnly = false; cookie.sameSite = "None"; return Json.array().push(plain).push(cookie.toString()) }
  return Json.of("?")
}
export function onRequestBody(request: Request, body: Body): Reply | null {
  const args = body.json()
  return Reply.json(200, run(args.find("0").asString(), args.find("1").asString(), args.find("2").asString(), args))
}`

let filter: TestFilter
beforeAll(async () => {
  filter = await bench.load(KITCHEN, { limits: { cpu: 1000 } })
}, 60_000)
afterAll(() => bench.close())

async function raw(...args: unknown[]): Promise<string> {
  const { response, logs } = await filter.request({ json: args })
  if (response?.status !== 200) throw new Error(`${response?.status}: ${logs.map((line) => line.message).join("\n")}`)
  return response.body.text
}
const ask = async (...args: unknown[]): Promise<unknown> => JSON.parse(await raw(...args))

describe("encodings", () => {
  it.each(["", "a", "ab", "abc", "abcd", "grüße €😀", "\0\u007f", "x".repeat(1000), "<<???>>"])("%j", async (text) => {
    const bytes = Buffer.from(text)
    const [standard, url, hexText] = [bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex")]
    expect(await ask("base64", text)).toEqual([standard, url, hexText, standard])
    expect(((await ask("base64.decode", standard)) as unknown[])[2]).toBe(text)
    expect(((await ask("base64.decode", url)) as unknown[])[3]).toBe(text)
    expect(await ask("hex.decode", hexText)).toEqual([hexText, text])
    expect(((await ask("percent", text)) as unknown[])[0]).toBe(
      encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    expect(((await ask("percent", encodeURIComponent(text))) as unknown[])[1]).toBe(text)
  })
  it.each([
    ["a", null, null],
    ["ab", null, "69"],
    ["ab==", "69", "69"],
    ["aQ==", "69", "69"],
    ["aR==", null, null],
    ["aQ=", null, null],
    ["=", null, null],
    ["====", null, null],
    ["a b=", null, null],
    ["-_-_", null, "fbffbf"],
    ["+/+/", "fbffbf", null],
    ["aaaa\n", null, null],
    ["€€€€", null, null],
  ])("base64 is read strictly: %j", async (text, standard, url) => {
    const expected = text === "ab" || text === "ab==" ? [null, null] : [standard, url]
    expect(((await ask("base64.decode", text)) as unknown[]).slice(0, 2)).toEqual(expected)
  })
  it("broken hex, percent and UTF-8", async () => {
    for (const text of ["a", "0g", "€€", "0 "]) expect(await ask("hex.decode", text)).toEqual([null, null])
    expect(await ask("hex.decode", "AbCd")).toEqual(["abcd", "«Í"])
    expect(await ask("percent", "%zz%4%41+%")).toEqual(["%25zz%254%2541%2B%25", "%zz%4A+%"])
    expect(await ask("utf8", "e282ac")).toEqual([true, "€"])
    expect(await ask("utf8", "e282")).toEqual([false, "â\u0082"])
    expect(await ask("utf8", "eda080")).toEqual([false, "í\u00a0\u0080"])
  })
})

describe("digests", () => {
  const lengths = [0, 1, 55, 56, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129, 1000]
  const algorithms = ["sha1", "sha256", "sha384", "sha512"]
  it.each(lengths)("of %i octets", async (length) => {
    const text = "ab".repeat(length).slice(0, length)
    expect(await ask("sha", text)).toEqual(algorithms.map((name) => createHash(name).update(text).digest("hex")))
    expect(await ask("hmac", "key", text)).toEqual(algorithms.map((name) => createHmac(name, "key").update(text).digest("hex")))
    expect(await ask("hmac", text, "data")).toEqual(algorithms.map((name) => createHmac(name, text).update("data").digest("hex")))
  })
  it("are the same where the host has none", async () => {
    const host = new FakeHost(await bench.workbench.module(KITCHEN))
    host.configure("")
    const own = (...args: unknown[]): unknown => {
      host.body = Buffer.from(JSON.stringify(args))
      host.onRequestBody(host.open())
      return JSON.parse(host.reply?.body ?? "")
    }
    for (const length of lengths) {
      const text = "ab".repeat(length).slice(0, length)
      expect(own("sha", text)).toEqual(algorithms.map((name) => createHash(name).update(text).digest("hex")))
      expect(own("hmac", text, "data")).toEqual(algorithms.map((name) => createHmac(name, text).update("data").digest("hex")))
    }
    expect(own("random")).toBe(null)
    expect(own("verify", "ES256", "", "", "")).toBe(false)
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
    const pem = publicKey.export({ type: "spki", format: "pem" }) as string
    host.foreign.set("verify_signature", (message) => {
      // Each field: tag, length as a varint, octets.
      const fields: Buffer[] = []
      for (let at = 0; at < message.length; ) {
        const number = message[at++] >> 3
        let length = 0
        for (let shift = 0; ; shift += 7) {
          const octet = message[at++]
          length |= (octet & 0x7f) << shift
          if (octet < 0x80) break
        }
        fields[number] = message.subarray(at, (at += length))
      }
      expect([fields[1].toString(), fields[2]]).toEqual(["sha256", publicKey.export({ type: "spki", format: "der" })])
      const good = createSign("sha256").update(fields[4]).sign(privateKey).equals(fields[3])
      return Buffer.from(good ? [8, 1] : [18, 1, 0x78])
    })
    const signature = createSign("sha256").update("data").sign(privateKey).toString("base64url")
    expect(own("verify", "RS256", pem, signature, "data")).toBe(true)
    expect(own("verify", "RS256", pem, signature, "date")).toBe(false)
    expect(own("verify", "RS256", "{}", signature, "data")).toBe(false)
  })
  it("secrets are compared", async () => {
    expect(await ask("equals", "secret€", "secret€")).toBe(true)
    for (const other of ["secret", "secret€x", "", "Secret€"]) expect(await ask("equals", "secret€", other)).toBe(false)
    expect(await ask("equals", "", "")).toBe(true)
  })
  it("signatures are verified by the host", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const jwk = JSON.stringify(publicKey.export({ format: "jwk" }))
    const signature = sign("sha256", Buffer.from("data"), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")
    expect(await ask("verify", "ES256", jwk, signature, "data")).toBe(true)
    expect(await ask("verify", "ES256", jwk, signature, "date")).toBe(false)
    expect(await ask("verify", "RS256", jwk, signature, "data")).toBe(false)
    expect(await ask("verify", "none", jwk, signature, "data")).toBe(false)
    expect(await ask("verify", "ES256", "nonsense", signature, "data")).toBe(false)
    expect(await ask("verify", "ES256", jwk, "", "data")).toBe(false)
  })
  it("random octets differ", async () => {
    expect(await ask("random")).toBe(true)
  })
})

describe("dates", () => {
  it.each([0, 784_111_777_000, 951_782_400_123, 1_582_934_400_000, 4_102_444_799_999, 253_402_300_799_999])("%i", async (time) => {
    const date = new Date(time)
    const whole = Math.floor(time / 1000) * 1000
    expect(await ask("dates", time)).toEqual([date.toUTCString(), date.toISOString(), whole, time])
  })
  it("before 1970 and out of range", async () => {
    expect(await ask("dates", -1)).toEqual([new Date(-1).toUTCString(), new Date(-1).toISOString(), -1, -1])
    expect(((await ask("dates", -1e15)) as unknown[])[1]).toBe("0001-01-01T00:00:00.000Z")
    expect(((await ask("dates", 9e15)) as unknown[])[1]).toBe("9999-12-31T23:59:59.999Z")
  })
  it.each([
    ["Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000, -1],
    ["Sun, 31 Feb 1994 08:49:37 GMT", -1, -1],
    ["Sun, 06 Nov 1994 24:49:37 GMT", -1, -1],
    ["Sun, 06 nov 1994 08:49:37 GMT", -1, -1],
    ["Sunday, 06-Nov-94 08:49:37 GMT", -1, -1],
    ["1994-11-06T08:49:37Z", -1, 784_111_777_000],
    ["1994-11-06t08:49:37.5z", -1, 784_111_777_500],
    ["1994-11-06T09:49:37.123456789+01:00", -1, 784_111_777_123],
    ["1994-11-06T00:49:37-08:00", -1, 784_111_777_000],
    ["1994-11-06T08:49:37", -1, -1],
    ["1994-11-06T08:49:37.Z", -1, -1],
    ["1994-11-06T08:49:37Zx", -1, -1],
    ["1994-13-06T08:49:37Z", -1, -1],
    ["2000-02-29T00:00:00Z", -1, 951_782_400_000],
    ["1900-02-29T00:00:00Z", -1, -1],
    ["", -1, -1],
  ])("%s is read as %i, %i", async (text, http, iso) => {
    expect(await ask("parseDates", text)).toEqual([http, iso])
  })
})

describe("addresses", () => {
  it.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.1", false],
    ["10.0.0.0/8", "10.0.0.1:8080", true],
    ["10.1.2.3", "10.1.2.3", true],
    ["10.1.2.3", "10.1.2.4", false],
    ["10.1.2.3/0", "250.1.2.4", true],
    ["0.0.0.0/0", "::1", false],
    ["10.0.0.0/8", "::ffff:10.0.0.1", true],
    ["::ffff:10.0.0.0/104", "10.0.0.1", true],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "[2001:db8::1]:443", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["2001:DB8::/32", "2001:0db8:0:0:0:0:0:1", true],
    ["::1", "::1", true],
    ["::1", "0:0:0:0:0:0:0:1", true],
    ["::", "::", true],
    ["1::", "1:0:0:0:0:0:0:0", true],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", true],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", true],
    ["1:2::7:8", "1:2:0:0:0:0:7:8", true],
    ["1:2:3:4:5::7:8", "1:2:3:4:5:0:7:8", true],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304", true],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304", true],
    ["fe80::/10", "fe80::1%eth0", true],
    ["fe80::/64", "fe80::1:0:0:0:1", false],
    ["::/0", "10.0.0.1", true],
    ["1::/127", "1::1", true],
    ["1::/127", "1::2", false],
  ])("%s and %s: %s", async (range, address, expected) => {
    expect(await ask("cidr", range, address)).toBe(expected)
  })
  it.each([
    "",
    "10",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.01",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0.0",
    "10.0.0.",
    ".1.1.1.1",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "12345::",
    "g::",
    "::/129",
    "1:2:3:4:5:6:7:8::",
    "1:",
    ":1:2:3:4:5:6:7",
    "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1.2.3.4::",
    "host",
  ])("%j is no range, and lies in none", async (text) => {
    expect(await ask("cidr", text, "10.0.0.1")).toBe(null)
    if (!text.includes("/")) expect(await ask("cidr", "::/0", text)).toBe(false)
  })
  it("several", async () => {
    expect(await ask("cidrs", ["10.0.0.0/8", "::1"], "::1")).toBe(true)
    expect(await ask("cidrs", ["10.0.0.0/8", "::1"], "::2")).toBe(false)
    expect(await ask("cidrs", ["10.0.0.0/8", "x"], "::2")).toBe(1)
  })
})

describe("patterns", () => {
  it.each([
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["*", "anything", true],
    ["/api/*", "/api/x/y", true],
    ["/api/*", "/api", false],
    ["*.example.com", "a.example.com", true],
    ["*.example.com", ".example.co", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["a*b*c", "axxbxxc", true],
    ["a*b*c", "axxcxxb", false],
    ["*b*", "abc", true],
    ["*ab*ab*", "xabyabz", true],
    ["*ab*ab*", "xabz", false],
    ["**", "x", true],
    ["a.c", "abc", false],
  ])("%j and %j: %s", async (pattern, text, expected) => {
    expect(await ask("pattern", pattern, text)).toEqual([expected, expected])
  })
  it("the case of letters may be ignored", async () => {
    expect(await ask("pattern", "*Bot*", "googlebOT/1")).toEqual([false, true])
    expect(await ask("patterns", "/a /b/*", "/b/c")).toBe(true)
    expect(await ask("patterns", "/a /b/*", "/a/c")).toBe(false)
  })
})

describe("strings", () => {
  it("know ASCII", async () => {
    expect(await ask("strings", "aÄZ, b,,c ", "Aäz, b,,c ")).toEqual(["aÄz, b,,c ", "AÄZ, B,,C ", -7, false, ["aÄZ", "b", "c"]])
    expect(await ask("strings", "GET", "get")).toEqual(["get", "GET", -7, true, ["GET"]])
    expect(await ask("strings", "-12", "")).toEqual(["-12", "-12", -12, false, ["-12"]])
    for (const text of ["", "-", "1.5", "+1", " 1", "1e3", "1234567890123456789"]) {
      expect(((await ask("strings", text, "x")) as unknown[])[2]).toBe(-7)
    }
  })
  it("cookies", async () => {
    expect(await ask("cookie", "a", "b")).toEqual([
      "a=b; Path=/; HttpOnly; SameSite=Lax",
      "a=b; Domain=d; Max-Age=0; Secure; SameSite=None",
    ])
  })
})

describe("JSON", () => {
  it.each([
    '{"a":[1,2.5,-3e2,true,false,null,"x"],"b":{},"c":[]}',
    "12345678901234567890",
    "0.1",
    "-0",
    "1e400",
    "9007199254740993",
    '"\\"\\\\/\\n\\u0001é😀"',
    "[[[[]]]]",
    '{"":{"":0}}',
  ])("%s is written as it was read", async (text) => {
    expect(await raw("json", text)).toBe(text)
  })
  it("that isn't any says why, and reads as empty", async () => {
    expect(await ask("json", "{x")).toEqual({
      error: "a field name in quotes is expected at line 1, column 2",
      type: "missing",
      at: "none",
    })
    expect(await ask("json", "")).toMatchObject({ error: "unexpected end at line 1, column 1" })
  })
  it("is built", async () => {
    expect(await raw("build")).toBe(
      '{"s":"x\\"\\\\\\n\\u0001","i":5,"f":1.5,"b":true,"n":null,"big":9223372036854775807,"nan":null,"list":[1,"x"],"gone":1,"s2":"€😀"}',
    )
  })
  it("answers what it is asked for, or the fallback", async () => {
    expect(await ask("as", "5")).toEqual(["number", "-", 5, 5, true, 0, false, true, true, "-", -1, false, -1, 0, 0])
    expect(await ask("as", "1.5")).toEqual(["number", "-", 1.5, -1, true, 0, false, true, true, "-", -1, false, -1, 0, 0])
    expect(await ask("as", '{"k":7}')).toEqual(["object", "-", -1, -1, true, 1, false, false, true, "-", 7, false, 7, 1, 1])
    expect(await ask("as", '["k"]')).toEqual(["array", "-", -1, -1, true, 1, true, true, true, "-", -1, false, -1, 0, 1])
    expect(await ask("as", "{")).toEqual(["missing", "-", -1, -1, true, 0, false, true, true, "-", -1, false, -1, 0, 0])
  })
  it.each([
    ["find", '{"a":{"b":[1,{"c":2}]}}', "a.b.1.c", undefined, [2]],
    ["find", '{"a":[{"x":1},{"y":2},{"x":3}]}', "a.*.x", undefined, [1, 3]],
    ["find", '{"a.b":{"/":1}}', "/a.b/~1", undefined, [1]],
    ["find", '{"a":1}', "", undefined, [{ a: 1 }]],
    ["find", '{"a":[1]}', "a.1", undefined, []],
    ["find", '{"a":[1]}', "a.-1", undefined, []],
    ["find", "5", "a.b", undefined, []],
    ["put", '{"a":1}', "b.c.d", [1], [1, { a: 1, b: { c: { d: [1] } } }, false, true]],
    ["put", '{"a":[{},{}]}', "a.*.x", 1, [2, { a: [{ x: 1 }, { x: 1 }] }, false, true]],
    ["put", '{"a":[1]}', "a.1", 2, [1, { a: [1, 2] }, false, true]],
    ["put", '{"a":[1]}', "a.5", 2, [0, { a: [1] }, true, true]],
    ["put", '{"a":1}', "a.b", 2, [0, { a: 1 }, true, true]],
    ["remove", '{"a":[{"x":1,"y":2},{"x":3}]}', "a.*.x", undefined, [2, { a: [{ y: 2 }, {}] }, false, true]],
    ["remove", '{"a":[1,2,3]}', "a.0", undefined, [1, { a: [2, 3] }, false, true]],
    ["remove", '{"a":[1,2,3]}', "a.*", undefined, [3, { a: [] }, false, true]],
    ["remove", '{"a":{"b":1,"c":2}}', "a.*", undefined, [2, { a: {} }, false, true]],
    ["remove", '{"a":1}', "b.c", undefined, [0, { a: 1 }, true, true]],
  ])("%s in %s at %j", async (op, text, path, value, expected) => {
    expect(await ask(op, text, path, value)).toEqual(expected)
  })
  it("rename keeps a field's place", async () => {
    expect(await raw("rename", '{"a":1,"b":2,"c":3}', "b", "x")).toBe('[1,{"a":1,"x":2,"c":3},false,true]')
    expect(await raw("rename", '{"a":1,"b":2,"c":3}', "b", "a")).toBe('[1,{"a":2,"c":3},false,true]')
    expect(await raw("rename", '{"l":[{"b":1},{"b":2}]}', "l.*.b", "x")).toBe('[2,{"l":[{"x":1},{"x":2}]},false,true]')
    expect(await raw("rename", '{"l":[1]}', "l.0", "x")).toBe('[0,{"l":[1]},true,true]')
  })
  it("is compared by what it says", async () => {
    expect(await ask("equalJson", '{"a":1,"b":[true,null]}', '{"b":[true,null],"a":1.0}')).toBe(true)
    for (const other of ['{"a":1}', '{"a":1,"b":[true]}', '{"a":1,"b":[true,0]}', "[]", '{"a":1,"c":[true,null]}']) {
      expect(await ask("equalJson", '{"a":1,"b":[true,null]}', other)).toBe(false)
    }
  })
  it("nested too deeply by a filter itself doesn't trap", async () => {
    expect(await ask("deep")).toBe(2 * 129 + 4)
  })
})
