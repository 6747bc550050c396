import { createHash } from "node:crypto"
import { expect, test } from "vitest"
import { prepareModule } from "../../../gateway/wasm/module.ts"
import { guest, wat } from "./support/wat.ts"

const limits = { memory: 1 << 20 }

test.each([
  ["0_1_0", "0.1.0"],
  ["0_2_0", "0.2.0"],
  ["0_2_1", "0.2.1"],
  ["0_2_100", "0.2.1"],
])("a module marked %s is served as %s", (marker, abi) => {
  const bytes = guest({ abi: marker })
  expect(prepareModule(bytes, limits)).toMatchObject({ ok: true, abi, digest: createHash("sha256").update(bytes).digest("hex") })
})

test("of several markers the newest counts", () => {
  expect(prepareModule(guest({ abi: "0_1_0", code: `(func (export "proxy_abi_version_0_2_0"))` }), limits)).toMatchObject({ abi: "0.2.0" })
})

test.each([
  [
    "no marker",
    wat(`(module (memory (export "memory") 1) (func (export "malloc") (param i32) (result i32) (i32.const 0)))`),
    /no proxy_abi_version_… marker/,
  ],
  ["an unknown version", guest({ abi: "0_3_0" }), /unknown Proxy-Wasm version 0_3_0/],
  ["a memory from outside", wat(`(module (import "env" "memory" (memory 1)) (func (export "proxy_abi_version_0_2_1")))`), /memory/],
  ["a global from outside", guest({ more: `(import "env" "g" (global i32))` }), /imports the global env\.g/],
  [
    "no memory",
    wat(`(module (func (export "proxy_abi_version_0_2_1")) (func (export "malloc") (param i32) (result i32) (i32.const 0)))`),
    /exports no memory/,
  ],
  ["no allocator", guest({ allocator: "" }), /neither proxy_on_memory_allocate nor malloc/],
  ["more memory than allowed", guest({ memory: "100" }), /memory/],
  ["no WebAssembly", new TextEncoder().encode("<html>"), /./],
  ["nothing", new Uint8Array(0), /./],
])("a module with %s is refused, and why", (_what, bytes, reason) => {
  expect(prepareModule(bytes, limits)).toMatchObject({ ok: false, reason: expect.stringMatching(reason) })
})

test("a type error inside is a refusal, not an exception", () => {
  const bytes = guest({ code: "(func (result i32) (i32.const 1))" })
  // The constant's opcode becomes one that leaves the wrong type.
  const at = bytes.lastIndexOf(0x41)
  bytes[at] = 0x42
  expect(prepareModule(bytes, limits)).toMatchObject({ ok: false, reason: expect.stringContaining("not a valid module") })
})
