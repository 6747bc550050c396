import { expect, test } from "vitest"
import { CONTINUE, REQUEST_BODY, RESPONSE_BODY } from "../../../gateway/filter/filter.ts"
import { Plugin } from "../../../gateway/wasm/plugin.ts"
import { VersionedFilter } from "../../../gateway/wasm/versioned-filter.ts"
import { FakeStream, specOf, TestHost } from "./support/host.ts"
import { guest } from "./support/wat.ts"

const plain = guest({ code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))` })
const withBody = guest({ code: `(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))` })

function filterOf(numbers: number[], weights = [3, 1]): { host: TestHost; filter: VersionedFilter; names: () => string } {
  const host = new TestHost()
  const versions = [
    specOf(plain, { name: "f", version: "a" }),
    specOf(withBody, { name: "f", version: "b", bodyLimit: 2 * 1024 * 1024 }),
  ].map((plugin) => host.runtime.plugin(plugin))
  const filter = new VersionedFilter("f", versions, weights, () => numbers.shift() as number)
  const names = (): string =>
    versions.map((version) => (version instanceof Plugin ? `${version.spec.version}:${version.idle ? 0 : 1}` : "?")).join(" ")
  return { host, filter, names }
}

test.each([
  [0, "a:1 b:0"],
  [0.7499, "a:1 b:0"],
  [0.75, "a:0 b:1"],
  [0.9999999, "a:0 b:1"],
])("of weights 3 and 1, %d chooses %s", (random, expected) => {
  const { filter, names } = filterOf([random])
  const stream = new FakeStream()
  const opened = filter.open(stream)
  expect(names()).toBe(expected)
  opened?.onDone()
  expect(names()).toBe("a:0 b:0")
})

test("its interests and limits are those of all versions, and one without a body phase lets bodies pass", () => {
  const { filter } = filterOf([0])
  expect([filter.interests & REQUEST_BODY, filter.interests & RESPONSE_BODY]).toEqual([REQUEST_BODY, 0])
  expect(filter.bodyLimit).toBe(2 * 1024 * 1024)
  const stream = new FakeStream()
  const opened = filter.open(stream)
  expect(opened?.onRequestHeaders(false)).toBe(CONTINUE)
  expect(opened?.onRequestBody({ length: 3 } as never, true)).toBe(CONTINUE)
})

test("the runtime makes and releases the versions together, and a version that fails to start is named", () => {
  const host = new TestHost()
  const refusing = guest({ code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))` })
  const filter = host.runtime.filter({
    name: "f",
    versions: [
      { plugin: specOf(plain, { name: "f", version: "a" }), weight: 1 },
      { plugin: specOf(refusing, { name: "f", version: "b" }), weight: 1 },
    ],
  })
  expect(host.runtime.status().map(({ version, state }) => [version, state])).toEqual([
    ["a", "running"],
    ["b", "failed"],
  ])
  expect(host.runtime.takeFailedStarts()).toEqual([expect.stringContaining("configure refused")])
  expect(host.runtime.takeFailedStarts()).toEqual([])
  const open = filter.open(new FakeStream())
  host.runtime.release(filter)
  expect(host.runtime.status()).toEqual([])
  open?.onDone()
  expect(() => host.runtime.release(filter)).toThrow(/released more often/)
})
