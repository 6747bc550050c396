// @ts-check
// The services and their endpoints: who is well, who is left out and until when, what each carries; and the order to drain one.

import { order, part } from "./api.js"
import { confirmed } from "./dialog.js"
import { h, say, set } from "./dom.js"
import { clock, health, milliseconds, percent, rate, whole } from "./format.js"
import { liveTable } from "./table.js"
import { sparkCell } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("../service-status.ts").ServiceStatus} ServiceStatus */
/** @typedef {import("../service-status.ts").EndpointStatus} EndpointStatus */
/** @typedef {import("../../telemetry/live-summary.ts").TrafficFigures} TrafficFigures */
/** @typedef {{ endpoint: EndpointStatus, service: string, figures: TrafficFigures | undefined }} EndpointRow */

/** Services that are shown at a time, and endpoints of each. */
const SERVICES = 30
const ENDPOINTS = 50

/** @param {Context} context */
export function createServices({ refresh }) {
  const list = h("div", { class: "stack wide" })
  const note = h("p", { class: "note" })
  const element = h("section", { "aria-label": "Services" }, list, note)
  /** @type {Map<string, { element: Element, update: (service: ServiceStatus, figures: TrafficFigures | undefined, endpoints: Map<string, TrafficFigures>) => void }>} */
  const cards = new Map()

  /** @param {State} state */
  function update(state) {
    const { services, figures, search } = state
    const rates = new Map((figures?.services ?? []).map((each) => [each.name, each]))
    const endpoints = new Map((figures?.endpoints ?? []).map((each) => [each.name, each]))
    const found = (services ?? []).filter(
      ({ name, endpoints }) => name.includes(search) || endpoints.some(({ address }) => address.includes(search)),
    )
    const trouble = (/** @type {ServiceStatus} */ { taking, usable }) => taking - usable
    found.sort(
      (a, b) =>
        trouble(b) - trouble(a) || (rates.get(b.name)?.requests ?? 0) - (rates.get(a.name)?.requests ?? 0) || (a.name < b.name ? -1 : 1),
    )
    const shown = found.slice(0, SERVICES)
    const names = new Set(shown.map(({ name }) => name))
    for (const [name, { element }] of cards) {
      if (names.has(name)) continue
      element.remove()
      cards.delete(name)
    }
    for (const service of shown) {
      let entry = cards.get(service.name)
      if (entry === undefined) {
        entry = serviceCard(service.name, state.has("/services/*/endpoints/*/drain"), refresh)
        cards.set(service.name, entry)
        list.append(entry.element)
      }
      entry.update(service, rates.get(service.name), endpoints)
    }
    say(
      note,
      shown.length === 0
        ? "No service has this in its name."
        : found.length > SERVICES
          ? `${whole(found.length - SERVICES)} more services. Search to see them.`
          : "",
    )
  }
  return { element, update }
}

/**
 * @param {string} name
 * @param {boolean} drains
 * @param {() => void} refresh
 */
function serviceCard(name, drains, refresh) {
  const state = h("span", { class: "pill" })
  const facts = h("span", { class: "note" })
  const spark = sparkCell({ history: [] })
  const table = liveTable({
    caption: `Endpoints of ${name}`,
    limit: ENDPOINTS,
    key: (/** @type {EndpointRow} */ { endpoint }) => endpoint.address,
    none: "It has no endpoints.",
    more: "",
    columns: [
      { title: "Endpoint", head: true, text: ({ endpoint }) => endpoint.address, order: ({ endpoint }) => endpoint.address },
      { title: "State", text: ({ endpoint }) => stateText(endpoint), tone: ({ endpoint }) => stateTone(endpoint) },
      {
        title: "Weight",
        number: true,
        minor: true,
        text: ({ endpoint }) => String(endpoint.weight),
        order: ({ endpoint }) => endpoint.weight,
      },
      { title: "Req/s", number: true, text: (row) => requestText(row), order: ({ figures }) => figures?.requests ?? 0 },
      {
        title: "Success",
        number: true,
        text: (row) => percent(row.figures?.success),
        tone: (row) => health(row.figures?.success),
        order: ({ figures }) => figures?.success ?? 2,
      },
      {
        title: "Under way",
        number: true,
        minor: true,
        text: ({ endpoint }) => (endpoint.active === null ? "" : String(endpoint.active.requests)),
      },
      {
        title: "Latency",
        hint: "Until it answers, an average of late",
        number: true,
        minor: true,
        text: ({ endpoint }) => milliseconds(endpoint.latency),
      },
      {
        title: "In all",
        number: true,
        minor: true,
        text: ({ endpoint }) => (endpoint.requests === null ? "" : whole(endpoint.requests)),
        order: ({ endpoint }) => endpoint.requests ?? 0,
      },
      ...(drains ? [{ title: "Orders", make: drainCell }] : []),
    ],
  })

  /** @param {EndpointRow} row */
  function drainCell(row) {
    let current = row
    const button = h("button", {
      type: "button",
      click: async () => {
        const { address } = current.endpoint
        const back = isDrained(current.endpoint)
        const done = await confirmed({
          title: back ? `Let ${address} take part again?` : `Drain ${address}?`,
          consequence: back
            ? `It gets requests of ${name} again.`
            : `It gets no new requests of ${name}; those it has are finished. It stays so until it is taken back.`,
          act: back ? "Take back" : "Drain",
          dangerous: !back,
          give: () => order(`/services/${part(name)}/endpoints/${encodeURIComponent(address)}/${back ? "undrain" : "drain"}`),
        })
        if (done) refresh()
      },
    })
    const show = (/** @type {EndpointRow} */ next) => {
      current = next
      say(button, isDrained(next.endpoint) ? "Take back" : "Drain")
    }
    show(row)
    return { element: h("span", { class: "actions" }, button), update: show }
  }

  return {
    element: h("div", { class: "card" }, h("header", null, h("h2", null, name), state, facts, spark.element), table.element),
    /**
     * @param {ServiceStatus} service
     * @param {TrafficFigures | undefined} figures
     * @param {Map<string, TrafficFigures>} endpoints
     */
    update(service, figures, endpoints) {
      const { taking, usable, drained, underWay } = service
      say(state, `${usable} of ${taking + drained} usable${drained > 0 ? `, ${drained} drained` : ""}`)
      set(state, { class: `pill ${usable === taking + drained ? "good" : usable === 0 ? "bad" : "fair"}` })
      const carried =
        figures === undefined
          ? "no requests"
          : `${rate(figures.requests)}/s, ${percent(figures.success)}, p50 ${milliseconds(figures.latency?.p50)}, p99 ${milliseconds(figures.latency?.p99)}${figures.retries > 0 ? `, ${rate(figures.retries)}/s sent again` : ""}`
      say(facts, `${carried} · under way: ${whole(underWay.requests)} requests on ${whole(underWay.connections)} connections`)
      spark.update({ history: figures?.history ?? [] })
      table.update(
        service.endpoints.map((endpoint) => ({ endpoint, service: name, figures: endpoints.get(`${name} ${endpoint.address}`) })),
      )
    },
  }
}

/** @param {EndpointStatus} endpoint */
function isDrained({ drained }) {
  return drained !== null
}

/** @param {EndpointStatus} endpoint */
function stateText(endpoint) {
  const { healthy, ejected, weight } = endpoint
  if (isDrained(endpoint)) return "◌ drained"
  if (ejected !== null)
    return `✕ ejected: ${ejected.reason}${ejected.until === null ? ", about to be tried" : ` until ${clock(ejected.until)}`}`
  if (healthy === false) return "✕ unwell"
  if (weight === 0) return "◌ weight 0"
  return healthy === true ? "✓ well" : "✓ in use"
}

/** @param {EndpointStatus} endpoint */
function stateTone(endpoint) {
  if (isDrained(endpoint) || endpoint.weight === 0) return "idle"
  return endpoint.ejected !== null || endpoint.healthy === false ? "bad" : "good"
}

/** @param {EndpointRow} row */
function requestText({ figures, endpoint }) {
  return figures !== undefined ? rate(figures.requests) : endpoint.requests === null ? "" : "0"
}
