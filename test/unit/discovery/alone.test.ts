import { expect, test } from "vitest"
import { canChangeAlone } from "../../../gateway/discovery/alone.ts"
import { config } from "../admin/support/config.ts"

test("a service changes alone unless another balancer holds its own", () => {
  const [service] = Object.values(config.services)
  const [route] = config.routes
  const backend = { service: "parted", weight: 1, headers: { request: {}, response: {} }, subset: { version: "v2" } }
  const made = {
    ...config,
    services: { alone: service, first: { ...service, failover: "second" }, second: service, parted: service },
    routes: [{ ...route, action: { kind: "forward" as const, backends: [backend, { ...backend, service: "alone", subset: undefined }] } }],
  }
  expect(["alone", "first", "second", "parted"].filter((name) => canChangeAlone(made as never, [name]))).toEqual(["alone"])
  expect(canChangeAlone(made as never, ["alone", "second"])).toBe(false)
})
