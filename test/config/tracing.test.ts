// Golden pairs of tracing: what a person writes, and what it comes out as.

import { expect, test } from "vitest"
import { tcpPart } from "../../gateway/config/listener-parts.ts"
import { parseConfig } from "../../gateway/config/load.ts"
import type { Config } from "../../gateway/config/model.ts"
import { formatProblems } from "../../gateway/config/problem.ts"

function load(text: string): { config: Config; warnings: string[] } {
  const result = parseConfig(text, { file: "sluice.yaml", baseDir: "." })
  if (!result.ok) throw new Error(formatProblems(result.problems))
  return { config: result.config, warnings: result.warnings.map(({ message }) => message) }
}

const listeners = "listeners: [{ address: 127.0.0.1:8080 }]\n"
const routes = "routes: [{ respond: { status: 200 } }]\n"

test("tracing has every default filled in, for its routes too", () => {
  const { config, warnings } = load(`${listeners}tracing: { otlp: http://127.0.0.1:4318 }\n${routes}`)
  expect(warnings).toEqual([])
  expect(config.tracing).toEqual({
    otlp: { url: "http://127.0.0.1:4318", headers: {}, timeout: 10_000 },
    sampling: 0.01,
    propagation: ["w3c"],
    trustParents: false,
    force: "",
    serviceName: "sluice",
  })
  expect(config.routes[0].tracing).toEqual({ sampling: 0.01, filters: false })
})

test("without tracing neither the gateway nor its routes have any", () => {
  const { config } = load(`${listeners}${routes}`)
  expect(config).not.toHaveProperty("tracing")
  expect(config.routes[0]).not.toHaveProperty("tracing")
})

test("routes have what they say, else what tracing says", () => {
  const route = (tracing: string): string => `  - { respond: { status: 200 }, tracing: ${tracing} }\n`
  const all = ["{ sampling: 100% }", "{ filters: false }", "{}", "false"].map(route).join("")
  const { config } = load(`${listeners}tracing: { otlp: http://a.b, sampling: 5%, filters: true }\nroutes:\n${all}`)
  expect(config.routes.map(({ tracing }) => tracing)).toEqual([
    { sampling: 1, filters: true },
    { sampling: 0.05, filters: false },
    { sampling: 0.05, filters: true },
    { sampling: null, filters: false },
  ])
})

test("listeners have it for the connections they carry as they are, without phases of filters", () => {
  const text = `listeners:
  - { address: 127.0.0.1:1, protocol: tcp, backends: a }
  - { address: 127.0.0.1:2, protocol: tls, backends: a, tracing: { sampling: 100% } }
  - { address: 127.0.0.1:3, protocol: auto, backends: a, tracing: false }
services: { a: { endpoints: [127.0.0.1:4] } }
tracing: { otlp: http://a.b, sampling: 5%, filters: true }
`
  const { config } = load(text)
  expect(config.listeners.map((listener) => tcpPart(listener)?.tracing)).toEqual([
    { sampling: 0.05, filters: false },
    { sampling: 1, filters: false },
    { sampling: null, filters: false },
  ])
  const without = "listeners: [{ address: 127.0.0.1:1, protocol: tcp, backends: a }]\nservices: { a: { endpoints: [127.0.0.1:4] } }\n"
  expect(tcpPart(load(without).config.listeners[0])).not.toHaveProperty("tracing")
})

test.each([
  ["b3", ["b3"]],
  ["[b3multi, w3c, b3multi]", ["b3multi", "w3c"]],
])("propagation: %s is a list", (written, expected) => {
  expect(load(`${listeners}tracing: { otlp: http://a.b, propagation: ${written} }\n${routes}`).config.tracing?.propagation).toEqual(
    expected,
  )
})

test("headers whose variables are missing, and a force that nobody may use, are warned of", () => {
  const tracing = "tracing: { otlp: { url: https://a.b, headers: { X-Token: { env: SLUICE_NOT_THERE } } }, force: X-Trace }\n"
  const { config, warnings } = load(`${listeners}${tracing}${routes}`)
  expect(config.tracing).toMatchObject({ otlp: { headers: { "x-token": { env: "SLUICE_NOT_THERE" } } }, force: "x-trace" })
  expect(warnings).toEqual([
    "there is no environment variable SLUICE_NOT_THERE here; set it where the gateway runs",
    "is for proxies in front, and no listener trusts one; write trustedHops: 1 in one, or leave it out",
  ])
  const trusting = "listeners: [{ address: 127.0.0.1:8080, trustedHops: 1 }]\n"
  expect(load(`${trusting}tracing: { otlp: http://a.b, force: X-Trace }\n${routes}`).warnings).toEqual([])
})
