import { wat } from "../test/unit/wasm/support/wat.ts"
const m = new WebAssembly.Module(wat(`(module (import "e" "f" (func $f)) (memory (export "memory") 1 8)
 (func (export "g") (call $f) (drop (memory.grow (i32.const 1))) (call $f) (drop (memory.grow (i32.const 0))) (call $f)))`))
let b: any; const out: any[] = []
const inst = new WebAssembly.Instance(m, { e: { f() { out.push(b.length); b = new Uint8Array((inst.exports.memory as any).buffer); out.push(b.length) } } })
b = new Uint8Array((inst.exports.memory as any).buffer)
;(inst.exports.g as any)()
// hot loop variant
const m2 = new WebAssembly.Module(wat(`(module (import "e" "f" (func $f)) (memory (export "memory") 1 200)
 (func (export "g") (param i32) (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 1000))) (then (drop (memory.grow (i32.const 1))))) (call $f)))`))
let c: Uint8Array, stale = 0, renew = 0
const i2 = new WebAssembly.Instance(m2, { e: { f() { if (c.length === 0) { c = new Uint8Array((i2.exports.memory as any).buffer); renew++ } if (c.buffer !== (i2.exports.memory as any).buffer) stale++ } } })
c = new Uint8Array((i2.exports.memory as any).buffer)
for (let i = 0; i < 100000; i++) (i2.exports.g as any)(i)
console.log(out, { stale, renew })
