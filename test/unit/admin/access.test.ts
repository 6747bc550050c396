import { describe, expect, test } from "vitest"
import { Access, type AccessOptions } from "../../../gateway/admin/access.ts"
import { Door } from "../../../gateway/admin/door.ts"
import { adminDeps } from "./support/deps.ts"

const token = "0123456789abcdef"
const everywhere = { host: "0.0.0.0", port: 9901 }
const peer = (address = "10.0.0.1", certificate: Uint8Array | null = null) => ({ address, certificate })
const bearer = (value: string) => new Headers({ authorization: `Bearer ${value}` })
const none = new Headers()

function access(options: Partial<AccessOptions>): Access {
  return new Access({ address: everywhere, token: null, certificates: false, now: () => 0, ...options })
}

describe("who gets in", () => {
  test("anybody where only this machine or this user can come", () => {
    for (const address of [{ host: "127.0.0.1", port: 1 }, { host: "::1", port: 1 }, { socket: "/run/a.sock" }]) {
      expect(access({ address }).admit(none, peer())).toEqual({ kind: "in", proven: "" })
      expect(access({ address, token }).admit(none, peer()).kind).toBe("out")
    }
  })

  test("nobody elsewhere, if there is nothing to show", () => {
    expect(access({}).admit(none, peer()).kind).toBe("out")
  })

  test("who knows the token, in the one form it has", () => {
    const guarded = access({ token })
    expect(guarded.admit(bearer(token), peer())).toEqual({ kind: "in", proven: "the token" })
    expect(guarded.admit(new Headers({ authorization: `bearer  ${token}` }), peer()).kind).toBe("in")
    for (const value of [`Basic ${token}`, token, `Bearer ${token} x`, "Bearer", ""])
      expect(guarded.admit(new Headers({ authorization: value }), peer()).kind).toBe("out")
  })

  test("who has shown a certificate, where certificates let somebody in", () => {
    const certificate = new Uint8Array([1])
    expect(access({ certificates: true }).admit(none, peer("10.0.0.1", certificate))).toEqual({
      kind: "in",
      proven: "a client certificate",
    })
    expect(access({ token }).admit(none, peer("10.0.0.1", certificate)).kind).toBe("out")
    expect(access({ certificates: true, token }).admit(bearer(token), peer()).kind).toBe("in")
  })
})

test("probes are answered without anything behind the door, and a door that can't be opened is no end", async () => {
  let tries = 0
  const load = () => (++tries === 1 ? Promise.reject(new Error("broken")) : Promise.resolve(() => new Response("in")))
  const probes = adminDeps()
  const door = new Door({
    probes,
    access: access({ address: { socket: "/a" } }),
    scheme: "http",
    openMetrics: false,
    history: probes.history,
    load,
  })
  const ask = (path: string, method = "GET") =>
    door.fetch(new Request(`http://localhost${path}`, { method, headers: { host: "localhost" } }), peer(""))
  for (const path of ["/live", "/ready", "/metrics"])
    for (const method of ["GET", "HEAD"]) expect((await ask(path, method)).status).toBe(200)
  expect(tries).toBe(0)
  expect((await ask("/config")).status).toBe(500)
  expect(await (await ask("/config")).text()).toBe("in")
})

describe("wrong tokens", () => {
  const wrong = (i: number) => bearer(`wrong-wrong-wrong-${i}`)

  test("are bounded for each address; the right one is not even looked at then, and works again later", () => {
    let now = 0
    const guarded = access({ token, now: () => now })
    for (let i = 0; i < 10; i++) expect(guarded.admit(wrong(i), peer())).toMatchObject({ status: 401 })
    expect(guarded.admit(wrong(10), peer())).toMatchObject({ status: 429, again: 1 })
    expect(guarded.admit(bearer(token), peer())).toMatchObject({ status: 429 })
    expect(guarded.admit(bearer(token), peer("10.0.0.2")).kind).toBe("in")
    expect(guarded.admit(none, peer())).toMatchObject({ status: 401 })
    now = 1001
    expect(guarded.admit(bearer(token), peer()).kind).toBe("in")
    expect(guarded.admit(wrong(11), peer())).toMatchObject({ status: 401 })
    expect(guarded.admit(wrong(12), peer())).toMatchObject({ status: 429 })
  })

  test("sent over and over lock nobody out, at a socket or behind a proxy too", () => {
    const guarded = access({ token, address: { socket: "/a" } })
    for (let i = 0; i < 1000; i++) expect(guarded.admit(wrong(i % 2), peer(""))).toMatchObject({ status: 401 })
    expect(guarded.admit(bearer(token), peer("")).kind).toBe("in")
    for (let i = 0; i < 20; i++) guarded.admit(wrong(i), peer(""))
    expect(guarded.admit(bearer(token), peer(""))).toMatchObject({ status: 429 })
  })

  test("of one network of IPv6 are those of one address", () => {
    const guarded = access({ token })
    for (let i = 0; i < 10; i++) guarded.admit(wrong(i), peer(`2001:db8:0:1::${i.toString(16)}`))
    expect(guarded.admit(bearer(token), peer("2001:db8:0:1:ffff::1"))).toMatchObject({ status: 429 })
    expect(guarded.admit(bearer(token), peer("2001:db8:0:2::1")).kind).toBe("in")
  })

  test("of very many addresses take bounded memory, and those forgotten begin anew", () => {
    const guarded = access({ token })
    for (let i = 0; i < 11; i++) guarded.admit(wrong(i), peer("first"))
    expect(guarded.admit(bearer(token), peer("first"))).toMatchObject({ status: 429 })
    for (let i = 0; i < 1024; i++) guarded.admit(wrong(i), peer(`a${i}`))
    expect(guarded.admit(bearer(token), peer("first")).kind).toBe("in")
  })
})
