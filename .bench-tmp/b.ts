import { TestHost, FakeStream } from "../test/unit/wasm/support/host.ts"
import { guest } from "../test/unit/wasm/support/wat.ts"
import { RequestHead, ResponseHead } from "../gateway/http/message.ts"
const bytes = guest({
  imports: ["proxy_get_header_map_value", "proxy_replace_header_map_value", "proxy_add_header_map_value"],
  data: { 100: "x-api-key", 120: "x-client", 140: "x-filtered", 160: "yes" },
  allocator: `
  (global $top (mut i32) (i32.const 4096))
  (func $allocate (export "proxy_on_memory_allocate") (param $n i32) (result i32)
    (global.get $top)
    (global.set $top (i32.and (i32.add (global.get $top) (local.get $n)) (i32.const 0x7fff))))`,
  code: `
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $proxy_get_header_map_value (i32.const 0) (i32.const 100) (i32.const 9) (i32.const 16) (i32.const 20)))
    (drop (call $proxy_replace_header_map_value (i32.const 0) (i32.const 120) (i32.const 8) (i32.load (i32.const 16)) (i32.const 4)))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $proxy_replace_header_map_value (i32.const 2) (i32.const 140) (i32.const 10) (i32.const 160) (i32.const 3)))
    (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32))`,
})
const host = new TestHost()
const plugin = host.plugin(bytes)
// heads as the parser makes them
function fill(fields: any, pairs: [string,string][]) {
  let text = ""; fields.reset(); let i = 0
  for (const [k, v] of pairs) { const s = text.length; text += k + ": " + v + "\r\n"; fields.at[i*4] = s; fields.at[i*4+1] = s + k.length; fields.at[i*4+2] = s + k.length + 2; fields.at[i*4+3] = text.length - 2; i++ }
  fields.text = text; fields.count = i
}
const req: [string,string][] = [["accept","*/*"],["accept-encoding","gzip, deflate, br"],["accept-language","en-GB,en;q=0.5"],["cookie","session=0123456789abcdef; theme=dark"],["referer","https://shop.example.com/list"],["user-agent","Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/130.0"],["x-api-key","abcd1234efgh5678"],["x-forwarded-for","203.0.113.7"],["x-request-id","6b1d2c3e-0000-4000-8000-000000000000"]]
const res: [string,string][] = [["content-type","application/json"],["content-length","1024"],["date","Sun, 22 Nov 2026 10:00:00 GMT"],["server","demo"],["cache-control","no-store"]]
const stream = new FakeStream()
const request = new RequestHead(), response = new ResponseHead()
;(stream as any).request = request
function prep() {
  fill(request.fields, req); request.method = "GET"; request.path = "/a/b"; request.query = "x=1"; request.authority = "shop.example"
  fill(response.fields, res); response.status = 200
}
prep()
const rt = request.fields.text, st = response.fields.text
function reset() { request.fields.reset(); request.fields.text = rt; request.fields.count = req.length; response.fields.reset(); response.fields.text = st; response.fields.count = res.length }
const ats = [request.fields.at, response.fields.at]
function once(withFilter: boolean) {
  reset()
  stream.response = null
  if (withFilter) {
    const f = plugin.open(stream)!
    f.onRequestHeaders(true)
    stream.response = response
    f.onResponseHeaders(false)
    f.onDone()
  } else stream.response = response
}
function run(n: number, w: boolean) { const t = performance.now(); for (let i = 0; i < n; i++) once(w); return (performance.now() - t) * 1e6 / n }
run(30000, true); run(30000, false)
const a = [], b = []
for (let i = 0; i < 7; i++) { b.push(run(100000, false)); a.push(run(100000, true)) }
a.sort((x,y)=>x-y); b.sort((x,y)=>x-y)
const rtn = typeof Bun !== "undefined" ? "bun" : typeof Deno !== "undefined" ? "deno" : "node"
console.log(rtn, "filter", a[0].toFixed(0), "median", a[3].toFixed(0), "| base", b[3].toFixed(0), request.fields.get("x-client"), response.fields.get("x-filtered"), host.metricsOf("probe").units*16 / host.metricsOf("probe").count)
