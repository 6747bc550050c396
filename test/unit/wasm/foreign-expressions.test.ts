import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { decodePairs } from "../../../gateway/wasm/proxy-wasm/pairs.ts"
import { Foreign, message } from "./support/foreign.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const SERIALIZATION_FAILURE = 3
const INTERNAL_FAILURE = 10

function create(foreign: Foreign, expression: string): Buffer | number {
  return foreign.foreign("expr_create", Buffer.from(expression))
}

/** The value's octets, or the status of the evaluation; a status in brackets is that of the creation. */
function evaluate(foreign: Foreign, expression: string): Buffer | number | string {
  const token = create(foreign, expression)
  if (typeof token === "number") return `(${token})`
  expect(token.length).toBe(4)
  const value = foreign.foreign("expr_evaluate", token)
  expect(foreign.foreign("expr_delete", token)).toEqual(Buffer.alloc(0))
  return value
}

const YES = Buffer.from([1])
const NO = Buffer.from([0])

function int64(value: bigint): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigInt64LE(value)
  return out
}

describe("expressions", () => {
  test.each([
    ["request.path == '/a/b?x=1'", YES],
    ["request.url_path.startsWith('/a') && request.method in ['GET', 'HEAD']", YES],
    ["request.headers['x-one'] == '1'", YES],
    ["request.headers['x-many'] == 'a, b'", YES],
    ["request.headers[':authority'] == 'shop.example:8080'", YES],
    ["'x-none' in request.headers", NO],
    ["has(request.headers.referer)", NO],
    ["has(request.duration)", NO],
    ["request.headers.exists(k, k.startsWith('x-'))", YES],
    ["request.headers.all(k, k != 'cookie')", YES],
    ["request.total_size > 11 && request.size == 11", YES],
    ["request.time < timestamp('2100-01-01T00:00:00Z')", YES],
    ["source.port == 40000 && destination.port == 8080", YES],
    ["connection.id == 7u && connection_id == 7u", YES],
    ["connection.mtls", NO],
    ["has(connection.uri_san_peer_certificate)", NO],
    ["upstream.address == '10.0.0.9:9001'", YES],
    ["xds.cluster_name == cluster_name", YES],
    ["route_name == 'röute'", YES],
    ["plugin_name == 'probe'", YES],
    ["node.cluster == 'sluice'", YES],
    ["response.code >= 200 && response.code < 300", YES],
    ["request.path.matches('^/a/[a-z]+')", YES],
    ["matches(request.path, 'b.x')", YES],
    ["request.headers.exists(k, k.matches('^x-m.ny$'))", YES],
    ["[1, 2, 3].filter(x, x > 1).size() == 2", YES],
    ["request.query.size() == 3 ? true : false", YES],
    ["size(request.headers) > 3", YES],
  ])("%s", (expression, value) => {
    expect(evaluate(new Foreign({ response: true }), expression)).toEqual(value)
  })

  test("values have the forms of properties", () => {
    const foreign = new Foreign()
    expect(evaluate(foreign, "request.method")).toEqual(Buffer.from("GET"))
    expect(evaluate(foreign, "request.headers['x-octets']")).toEqual(Buffer.from("ff80", "hex"))
    expect(evaluate(foreign, "route_name")).toEqual(Buffer.from("röute"))
    expect(evaluate(foreign, "'grüße'")).toEqual(Buffer.from("grüße"))
    expect(evaluate(foreign, "-5")).toEqual(int64(-5n))
    expect(evaluate(foreign, "5u")).toEqual(int64(5n))
    expect(evaluate(foreign, "0.5")).toEqual(Buffer.from("000000000000e03f", "hex"))
    expect(evaluate(foreign, "b'\\xff'")).toEqual(Buffer.from([255]))
    expect(evaluate(foreign, "duration('1.5s')")).toEqual(int64(1_500_000_000n))
    expect(evaluate(foreign, "timestamp('1970-01-01T00:00:01Z')")).toEqual(int64(1_000_000_000n))
    expect(evaluate(foreign, "request.time")).toEqual(int64(1_700_000_000_000_000_000n))
    const list = evaluate(foreign, "['a', 'b']") as Buffer
    expect(decodePairs(list, 0, list.length)).toEqual(["a", "", "b", ""])
    const map = evaluate(foreign, "{'a': 'x', 'b': 'y'}") as Buffer
    expect(decodePairs(map, 0, map.length)).toEqual(["a", "x", "b", "y"])
    const headers = evaluate(foreign, "request.headers") as Buffer
    expect(decodePairs(headers, 0, headers.length)?.slice(0, 4)).toEqual([":method", "GET", ":path", "/a/b?x=1"])
    expect(evaluate(foreign, "null")).toBe(SERIALIZATION_FAILURE)
    expect(evaluate(foreign, "type(1)")).toBe(SERIALIZATION_FAILURE)
  })

  test("stored properties are octets, or text when they are declared so", () => {
    const foreign = new Foreign()
    expect(foreign.call("proxy_set_property", ...foreign.put("mine"), ...foreign.put("v"))).toBe(OK)
    expect(evaluate(foreign, "mine == b'v'")).toEqual(YES)
    expect(evaluate(foreign, "filter_state['wasm.mine'] == b'v'")).toEqual(YES)
    foreign.foreign("declare_property", message({ 1: "said", 3: 1 }))
    foreign.call("proxy_set_property", ...foreign.put("said"), ...foreign.put("text"))
    expect(evaluate(foreign, "said == 'text'")).toEqual(YES)
    expect(evaluate(foreign, "filter_state['wasm.said'].startsWith('te')")).toEqual(YES)
  })

  test("what isn't there has no value", () => {
    const foreign = new Foreign()
    for (const each of ["nope", "request.nope", "request.headers['nope']", "response.code == 200", "1 / 0 == 1"]) {
      expect(evaluate(foreign, each)).toBe(INTERNAL_FAILURE)
    }
    foreign.vm.enter(foreign.context.root, null)
    expect(evaluate(foreign, "plugin_name")).toEqual(Buffer.from("probe"))
    expect(evaluate(foreign, "request.path")).toBe(INTERNAL_FAILURE)
  })

  test("wrong expressions are refused when they are made", () => {
    const foreign = new Foreign()
    for (const each of [
      "",
      "1 +",
      "request.",
      "'a' * 2",
      "nope()",
      "request.path.nope()",
      "'a'.split('b')",
      "cel.bind(x, 1, x)",
      "\x00",
      "[1].map(x)",
    ]) {
      expect([each, create(foreign, each)]).toEqual([each, BAD_ARGUMENT])
    }
    expect(create(foreign, `'${"a".repeat(8200)}'`)).toBe(BAD_ARGUMENT)
    expect(foreign.host.logs.some(({ message: line }) => line.startsWith("expr_create: "))).toBe(true)
  })

  test("expressions that would take too long are refused when they are made", () => {
    const foreign = new Foreign()
    const wide = `[${Array.from({ length: 100 }, (_, i) => i).join(",")}]`
    const long = [
      "request.headers.all(a, request.headers.all(b, a != b))",
      `${wide}.all(a, ${wide}.all(b, ${wide}.all(c, a + b + c > 0)))`,
      `${wide}.map(a, ${wide}.map(b, ${wide})).size() > 0`,
      "request.headers.all(a, request.headers == request.headers)",
      "request.headers.all(a, a in [request.headers])",
      `${"(".repeat(60)}1${")".repeat(60)}`.replaceAll("(", "-("),
      Array.from({ length: 400 }, () => "1").join(" + "),
    ]
    for (const each of long) expect([each.slice(0, 60), create(foreign, each)]).toEqual([each.slice(0, 60), BAD_ARGUMENT])
    expect(create(foreign, "[1, 2, 3].all(a, [1, 2, 3].all(b, a * b > 0))")).toBeInstanceOf(Buffer)
  })

  test("regular expressions that could run for ever are refused", () => {
    const foreign = new Foreign({ spec: { cpuMs: 60_000 } })
    foreign.stream.request.query = "a".repeat(3000)
    for (const pattern of ["(a+)+$", "a*a*a*b", "(a|a)*b", "^(a|aa)+$", "(?<=a)b", "\\\\1(a)", "("]) {
      expect([pattern, evaluate(foreign, `request.query.matches('${pattern}')`)]).toEqual([pattern, INTERNAL_FAILURE])
    }
    for (const pattern of ["a+b", ".*b.*", "^a*b", "b", "[^a]+", "a{3}b"]) {
      expect([pattern, evaluate(foreign, `request.query.matches('${pattern}')`)]).toEqual([pattern, NO])
    }
    for (const pattern of [".*aa.*", ".*?aa.*?", "^a", "a$", "", ".*", "b|a", "a\\\\.*"]) {
      expect([pattern, evaluate(foreign, `request.query.matches('${pattern}')`)]).toEqual([pattern, YES])
    }
    foreign.stream.request.query = "a".repeat(5000)
    expect(evaluate(foreign, "request.query.matches('a+b')")).toBe(INTERNAL_FAILURE)
    expect(evaluate(foreign, "request.query.matches('aab')")).toEqual(NO)
  })

  test("tokens stand for expressions of their plugin until they are deleted", () => {
    const foreign = new Foreign()
    const one = create(foreign, "1") as Buffer
    const two = create(foreign, "2") as Buffer
    expect(one.equals(two)).toBe(false)
    expect(foreign.foreign("expr_evaluate", one)).toEqual(int64(1n))
    expect(foreign.foreign("expr_evaluate", two)).toEqual(int64(2n))
    expect(foreign.foreign("expr_delete", one)).toEqual(Buffer.alloc(0))
    expect(foreign.foreign("expr_evaluate", one)).toBe(NOT_FOUND)
    expect(foreign.foreign("expr_delete", one)).toEqual(Buffer.alloc(0))
    for (const bad of [Buffer.alloc(0), Buffer.alloc(3), Buffer.alloc(5)]) {
      expect(foreign.foreign("expr_evaluate", bad)).toBe(BAD_ARGUMENT)
      expect(foreign.foreign("expr_delete", bad)).toBe(BAD_ARGUMENT)
    }
    const other = { ...foreign.context.root, id: 99 }
    foreign.vm.root = other as never
    expect(foreign.foreign("expr_evaluate", two)).toBe(NOT_FOUND)
  })

  test("a plugin's expressions are bounded", () => {
    const foreign = new Foreign()
    let made = 0
    while (made < 1000 && typeof create(foreign, "true") !== "number") made++
    expect(made).toBe(256)
    expect(create(foreign, "true")).toBe(INTERNAL_FAILURE)
    for (let i = 0; i < 1500; i++) {
      foreign.vm.enter(foreign.context.root, foreign.context)
      foreign.foreign("expr_delete", Buffer.from([1, 0, 0, 0]))
      foreign.foreign("expr_delete", create(foreign, "[[1]] == [[2]]") as Buffer)
    }
    const again = create(foreign, "request.method.matches('^G')") as Buffer
    expect(foreign.foreign("expr_evaluate", again)).toEqual(YES)
    const kept = Buffer.from([2, 0, 0, 0])
    expect(foreign.foreign("expr_evaluate", kept)).toEqual(YES)
  })
})
