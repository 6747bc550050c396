import { expect, test } from "vitest"
import { findingsText, judge, type Told } from "../../../gateway/cli/check-running.ts"
import { packageVersion } from "../../../gateway/version.ts"

const well: Told = {
  version: packageVersion(),
  ready: {
    ready: true,
    draining: false,
    reasons: [],
    generation: 1,
    lastReload: { ok: true, error: null, at: "" },
    workers: { running: 2, wanted: 2 },
    filtersInTrouble: [],
  },
  services: [],
  filters: [],
  certificates: [],
  closed: [],
  metrics: 'sluice_event_loop_lag_seconds{worker="0"} 0.001\n',
}
const endpoint = {
  address: "10.0.0.1:80",
  weight: 1,
  healthy: null,
  ejected: null,
  consecutive: null,
  zone: "",
  priority: 0,
  drained: null,
  active: null,
  requests: null,
  failures: null,
  latency: null,
}
const service = {
  name: "api",
  taking: 1,
  usable: 1,
  underWay: { requests: 0, connections: 0 },
  endpoints: [endpoint],
} as unknown as Told["services"][number]
const filter = { name: "auth", state: "running", refused: null, held: null, lastError: null } as unknown as Told["filters"][number]
const certificate = {
  shownBy: "listener",
  name: "edge",
  subject: "CN=a",
  names: ["a.example"],
  issuer: "",
  sha256: "",
  expires: "",
  daysLeft: 20,
} as const
const trouble = (told: Partial<Told>): string[] =>
  judge({ ...well, ...told })
    .filter(({ state }) => state !== "ok")
    .map(({ state, what, say }) => `${state} ${what}: ${say}`)

test("a gateway that is well has nothing to do", () => {
  expect(trouble({ services: [service], filters: [filter], certificates: [certificate] })).toEqual([])
})

test.each<[string, Partial<Told>, string[]]>([
  ["another version", { version: "0.0.1" }, [`warn version: the gateway is 0.0.1, this command ${packageVersion()}; use the same`]],
  [
    "one that doesn't serve",
    { ready: { ...well.ready, ready: false, reasons: ["no worker serves"], workers: { running: 0, wanted: 2 } } },
    ["fail serves: no worker serves; look at its log", "fail workers: 0 of 2 run; the log says why others ended"],
  ],
  [
    "a refused configuration",
    {
      ready: {
        ...well.ready,
        lastReload: { ok: false, error: "x:1:1 wrong", at: "" },
        reasons: ["the last configuration was refused; the one before serves"],
      },
    },
    ["fail configuration: the newest was refused: x:1:1 wrong; mend the file"],
  ],
  ["a remark", { ready: { ...well.ready, reasons: ["a canary was rolled back"] } }, ["warn remarks: a canary was rolled back"]],
  [
    "a closed port",
    { closed: ["edge (port 80): ECONNREFUSED"] },
    ["fail ports: edge (port 80): ECONNREFUSED; look whether the address and its firewall are right"],
  ],
  [
    "a certificate that ends soon",
    { certificates: [{ ...certificate, daysLeft: 13 }] },
    ["warn certificates: the certificate a.example of listener edge expires in 13 days; put a new one in its place before"],
  ],
  [
    "one that has ended",
    { certificates: [{ ...certificate, daysLeft: -1 }] },
    ["fail certificates: the certificate a.example of listener edge has expired; put a new one in its place"],
  ],
  [
    "an unwell endpoint",
    { services: [{ ...service, endpoints: [{ ...endpoint, healthy: false }, endpoint] } as Told["services"][number]] },
    ["warn services: 10.0.0.1:80 of api is unwell by its health checks; look at it"],
  ],
  [
    "a service without any",
    { services: [{ ...service, usable: 0 }] },
    ["fail services: api has no endpoint that is well; look at the service"],
  ],
  [
    "a filter in quarantine",
    { filters: [{ ...filter, state: "quarantined", lastError: { message: "trap", at: null } }] },
    ["fail filters: auth is quarantined: trap; mend it, or sluice filter release auth"],
  ],
  [
    "a filter that an order keeps out of use",
    { filters: [{ ...filter, state: "quarantined", held: { message: "by order", at: null } }] },
    ["fail filters: auth is in quarantine by order; sluice filter release auth ends that"],
  ],
  [
    "a refused version",
    { filters: [{ ...filter, refused: { message: "no", at: null } }] },
    ["warn filters: the newest version of auth was refused: no; mend it"],
  ],
  [
    "a late event loop",
    { metrics: 'sluice_event_loop_lag_seconds{worker="1"} 0.4\n' },
    ["fail event loop: a worker is 400 ms late; give it more CPU, or see sluice filter ls for a slow filter"],
  ],
])("%s is found", (_what, told, found) => {
  expect(trouble(told)).toEqual(found)
})

test("what others say drives no terminal", () => {
  expect(findingsText(judge({ ...well, version: "\u001b[31m" }))).not.toContain("\u001b")
})
