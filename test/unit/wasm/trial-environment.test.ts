import { describe, expect, test } from "vitest"
import { trialConfigure } from "../../../gateway/wasm/trial.ts"
import { trialEnvironment } from "../../../gateway/wasm/trial-environment.ts"
import { specOf, UNITS_PER_MS } from "./support/host.ts"
import { pairs } from "./support/root.ts"
import { guest, hostCallNames, Script } from "./support/wat.ts"

const clock = { now: () => 1, monotonic: () => 1 }

/** A guest whose configuration succeeds when all of `calls` answer 0. */
function configuring(write: (script: Script) => string[]): Uint8Array {
  const script = new Script()
  const calls = write(script)
  const all = calls.reduce((sum, call) => `(i32.or ${sum} ${call})`, "(i32.const 0)")
  return guest({
    imports: hostCallNames,
    data: script.data,
    code: `
      (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.eqz ${all}))
      (func (export "proxy_on_tick") (param i32) (unreachable))
      (func (export "proxy_on_queue_ready") (param i32 i32) (unreachable))
      (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) (unreachable))`,
  })
}

function callingOut(service: string): Uint8Array {
  const none = "(i32.const 0) (i32.const 0)"
  const head = pairs(":method", "GET", ":path", "/", ":authority", "a").toString("latin1")
  return configuring((script) => [
    `(call $proxy_http_call ${script.text(service)} ${script.text(head)} ${none} ${none} (i32.const 0) (i32.const 16))`,
  ])
}

describe("a guest that is tried out", () => {
  test("may use all there is, and nothing of it leaves the instance", () => {
    const bytes = configuring((script) => {
      const name = script.text("name")
      return [
        "(call $proxy_set_tick_period_milliseconds (i32.const 1))",
        `(call $proxy_register_shared_queue ${name} (i32.const 16))`,
        `(call $proxy_enqueue_shared_queue (i32.load (i32.const 16)) ${name})`,
        `(call $proxy_resolve_shared_queue ${script.text("another vm")} ${name} (i32.const 16))`,
        `(call $proxy_define_metric (i32.const 0) ${name} (i32.const 16))`,
        "(call $proxy_increment_metric (i32.load (i32.const 16)) (i64.const 1))",
        "(call $proxy_record_metric (i32.load (i32.const 16)) (i64.const 1))",
        "(call $proxy_get_metric (i32.load (i32.const 16)) (i32.const 24))",
        `(call $proxy_set_shared_data ${name} ${name} (i32.const 0))`,
        `(call $proxy_get_shared_data ${name} (i32.const 16) (i32.const 20) (i32.const 24))`,
      ]
    })
    expect(trialConfigure(specOf(bytes), { unitsPerMs: UNITS_PER_MS, clock })).toEqual({ ok: true })
  })

  test("finds the services it is told of, or every one", () => {
    const options = { unitsPerMs: UNITS_PER_MS, clock }
    const services = new Set(["api"])
    expect(trialConfigure(specOf(callingOut("api")), { ...options, services })).toEqual({ ok: true })
    expect(trialConfigure(specOf(callingOut("nobody")), { ...options, services })).toMatchObject({ ok: false })
    expect(trialConfigure(specOf(callingOut("nobody")), options)).toEqual({ ok: true })
  })
})

describe("a trial's environment", () => {
  test("bounds what it keeps", () => {
    const { shared, queues, metrics } = trialEnvironment(clock, null)
    for (let i = 0; i < 1024; i++) {
      expect(shared.set("", `${i}`, new Uint8Array(0), 0)).toBe("ok")
      expect(queues.register("", `${i}`, () => undefined)?.id).toBe(i + 1)
      expect(metrics.define(0, `${i}`)).toBe(i + 1)
    }
    expect(shared.set("", "more", new Uint8Array(0), 0)).toBe("full")
    expect(queues.register("", "more", () => undefined)).toBe(null)
    expect(metrics.define(0, "more")).toBe(0)
    expect(metrics.define(0, "7")).toBe(8)
  })

  test("knows no queue and no metric that wasn't made", () => {
    const { queues, metrics } = trialEnvironment(clock, null)
    expect([queues.enqueue(1, new Uint8Array(0)), queues.dequeue(0)]).toEqual(["unknown", "unknown"])
    expect([metrics.increment(1, 1n), metrics.record(1, 1n), metrics.read(0)]).toEqual(["unknown", "unknown", "unknown"])
  })

  test("never calls back", () => {
    const { clock: still, services } = trialEnvironment(clock, null)
    const never = (): never => {
      throw new Error("called")
    }
    still.schedule(1, never)()
    const callout = {
      service: "x",
      method: "GET",
      path: "/",
      authority: "a",
      headers: [],
      body: new Uint8Array(0),
      trailers: [],
      timeout: 1,
    }
    services.call(callout, { onCalloutResponse: never, onCalloutFailed: never })?.()
  })
})
