// @ts-check
// What the service graph consists of, from the figures: columns of nodes and the flows between neighbours. Pure; nothing is drawn here.

import { byName } from "./format.js"
import { named } from "./problems.js"

/** @typedef {import("../../telemetry/live-summary.ts").EdgeFigures} EdgeFigures */
/** @typedef {import("../../telemetry/live-summary.ts").CallerFigures} CallerFigures */
/** @typedef {import("../../telemetry/live-summary.ts").Figures} Figures */
/** @typedef {{ key: string, label: string, requests: number, failed: number, y: number }} Place */
/** @typedef {{ title: string, view: string, places: Map<string, Place> }} GraphColumn `view`: where a node leads; "" = nowhere */
/** @typedef {{ from: Place, to: Place, column: number, requests: number, failed: number }} Flow `column`: of `from` */
/**
 * From a caller to a service. `identity`: it is known by its certificate, else it is a listener that others came by.
 * @typedef {{ source: string, identity: boolean, service: string, requests: number, success: number | null }} Call
 */

/** Nodes of a column; the others are one. */
const NODES = 14
export const OTHERS = "\u0000others"
/** What a listener carried beyond what its known callers did is told from this share of it on: their counts lag behind a little. */
const REST = 0.02

/**
 * Who calls which service: identities, and for those who have shown none the listener they came by.
 * @param {Pick<Figures, "edges" | "callers">} figures
 * @returns {Call[]}
 */
export function callsOf({ edges, callers: met }) {
  // Who has no series of his own counts with those who have shown nothing.
  const callers = met.filter(({ source }) => source !== "overflow")
  /** @type {Call[]} */
  const calls = callers.map(({ source, service, requests, success }) => ({ source, identity: true, service, requests, success }))
  /** @type {Map<string, number>} requests of known callers, by service */
  const known = new Map()
  for (const { service, requests } of callers) known.set(service, (known.get(service) ?? 0) + requests)
  /** @type {Map<string, number>} requests by listeners that ask who it is, by service */
  const asked = new Map()
  for (const { asksWho, service, requests } of edges) if (asksWho) asked.set(service, (asked.get(service) ?? 0) + requests)
  /** @type {Map<string, Call & { failed: number, carried: number }>} */
  const rest = new Map()
  for (const { listener, asksWho, service, requests, success } of edges) {
    const whole = asked.get(service) ?? 0
    // Of several listeners that ask, nobody has counted which one a known caller came by: each has its part of them.
    const share = asksWho ? Math.max(0, 1 - (known.get(service) ?? 0) / Math.max(whole, 0.001)) : 1
    const key = `${listener}\n${service}`
    const call = rest.get(key) ?? { source: listener, identity: false, service, requests: 0, success: null, failed: 0, carried: 0 }
    call.requests += requests * share
    call.failed += requests * share * (1 - (success ?? 1))
    call.carried += requests
    rest.set(key, call)
  }
  for (const { failed, carried, ...call } of rest.values()) {
    if (call.requests > carried * REST) calls.push({ ...call, success: 1 - failed / call.requests })
  }
  return calls
}

/**
 * @param {readonly EdgeFigures[]} edges
 */
export function graphOfEdges(edges) {
  return graphOf(edges, [
    { title: "Listeners", view: "", keyOf: ({ listener }) => listener, label: (name) => name },
    { title: "Routes", view: "routes", keyOf: ({ route }) => route, label: routeName },
    { title: "Services", view: "services", keyOf: ({ service }) => service, label: serviceName },
  ])
}

/** @param {readonly Call[]} calls */
export function graphOfCalls(calls) {
  return graphOf(calls, [
    { title: "Callers", view: "", keyOf: callerName, label: (name) => name },
    { title: "Services", view: "services", keyOf: ({ service }) => service, label: serviceName },
  ])
}

/**
 * @template {{ requests: number, success: number | null }} T
 * @param {readonly T[]} items
 * @param {readonly { title: string, view: string, keyOf: (item: T) => string, label: (key: string) => string }[]} kinds
 * @returns {{ columns: GraphColumn[], flows: Flow[] }}
 */
function graphOf(items, kinds) {
  const columns = kinds.map(({ title, view, keyOf, label }) => ({ title, view, places: places(items, keyOf, label) }))
  /** @type {Map<string, Flow>} */
  const flows = new Map()
  for (const item of items) {
    const ends = kinds.map(({ keyOf }, i) => columns[i].places.get(keyOf(item)) ?? columns[i].places.get(OTHERS))
    for (let column = 0; column + 1 < kinds.length; column++) {
      const [from, to] = [ends[column], ends[column + 1]]
      if (from === undefined || to === undefined) continue
      const key = `${column}\n${from.key}\n${to.key}`
      const flow = flows.get(key) ?? { from, to, column, requests: 0, failed: 0 }
      flow.requests += item.requests
      flow.failed += item.requests * (1 - (item.success ?? 1))
      flows.set(key, flow)
    }
  }
  return { columns, flows: [...flows.values()] }
}

/**
 * The busiest names of a column, the others as one; by name, so that they don't jump.
 * @template {{ requests: number, success: number | null }} T
 * @param {readonly T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(key: string) => string} label
 * @returns {Map<string, Place>}
 */
function places(items, keyOf, label) {
  /** @type {Map<string, Place>} */
  const all = new Map()
  for (const item of items) {
    const key = keyOf(item)
    const place = all.get(key) ?? { key, label: label(key), requests: 0, failed: 0, y: 0 }
    place.requests += item.requests
    place.failed += item.requests * (1 - (item.success ?? 1))
    all.set(key, place)
  }
  const ranked = [...all.values()].sort((a, b) => b.requests - a.requests)
  const kept = ranked.slice(0, ranked.length > NODES ? NODES - 1 : NODES).sort((a, b) => byName(a.key, b.key))
  const rest = ranked.slice(kept.length)
  if (rest.length > 0) {
    const sum = (/** @type {"requests" | "failed"} */ what) => rest.reduce((total, place) => total + place[what], 0)
    kept.push({ key: OTHERS, label: `${rest.length} others`, requests: sum("requests"), failed: sum("failed"), y: 0 })
  }
  return new Map(kept.map((place) => [place.key, place]))
}

/** @param {Call} call */
export function callerName({ source, identity }) {
  return identity ? source : `others by listener ${source}`
}

/** @param {string} route */
export function routeName(route) {
  return route === "" ? "(connections)" : named(route)
}

/** @param {string} service */
export function serviceName(service) {
  return service === "-" ? "(answered here)" : service
}

/**
 * Of a name that has to be cut the end is what tells it from others.
 * @param {string} name
 * @param {number} length
 */
export function shortened(name, length) {
  return name.length > length ? `…${name.slice(1 - length)}` : name
}
