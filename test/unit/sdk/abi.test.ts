// The SDK and the host write down the ABI's numbers separately (one is AssemblyScript); they must agree.

import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import * as host from "../../../gateway/wasm/proxy-wasm/enums.ts"

const source = readFileSync(new URL("../../../sdk/assembly/abi.ts", import.meta.url), "utf8")
const enums = [...source.matchAll(/export const enum (\w+) \{([^}]*)\}/g)]

it("the SDK's file has enums", () => {
  expect(enums.map(([, name]) => name)).toEqual(["LogLevel", "Status", "BufferType", "MapType", "StreamType", "MetricType", "Action"])
})

it.each(enums.map(([, name, body]) => [name, body]))("%s has the host's numbers", (name, body) => {
  const members = [...body.matchAll(/(\w+) = (\d+)/g)].map(([, member, value]) => [member, Number(value)])
  expect(members.length).toBeGreaterThan(0)
  expect(host[name as keyof typeof host]).toMatchObject(Object.fromEntries(members))
})
