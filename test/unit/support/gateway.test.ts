import { expect, test } from "vitest"
import { Gateway } from "../../support/gateway.ts"
import { staticOrigin } from "../../support/origin.ts"
import { get } from "../../support/raw-client.ts"

test("the gateway process starts, serves and ends on the runtime under test", async () => {
  const origin = await staticOrigin("hello")
  const gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: { hello: { endpoints: [origin.address] } },
      routes: [{ backends: "hello" }],
    },
  })
  try {
    expect((await get(gateway.port("edge"), "/")).text()).toBe("hello")
    expect((await get(gateway.adminPort, "/ready", { host: "127.0.0.1" })).status).toBe(200)
  } finally {
    const exit = await gateway.stop()
    await origin.stop()
    expect(exit).toEqual({ code: 0, signal: null })
  }
})

test("a gateway that does not start is reported with its log", async () => {
  await expect(Gateway.start({ config: "listeners: nonsense" })).rejects.toThrow(/ended .* before its start/)
})
