// @ts-check
// The services and their endpoints: who is well, who is left out and until when, what each carries; and the order to drain one.

import { order, part } from "./api.js"
import { h, say, set } from "./dom.js"
import { byName, clock, health, milliseconds, percent, rate, whole } from "./format.js"
import { confirmed, orderButton } from "./orders.js"
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
    if (services === null) return say(note, "Loading …")
    const found = services.filter(
      ({ name, endpoints }) => name.includes(search) || endpoints.some(({ address }) => address.includes(search)),
    )
    const trouble = (/** @type {ServiceStatus} */ { taking, usable }) => taking - usable
    // Not by their rates: those would have them change places all the time.
    found.sort((a, b) => Number(trouble(b) > 0) - Number(trouble(a) > 0) || byName(a.name, b.name))
    const shown = found.slice(0, SERVICES)
    const names = new Set(shown.map(({ name }) => name))
    for (const [name, { element }] of cards) {
      if (names.has(name)) continue
      element.remove()
      cards.delete(name)
    }
    const held = list.matches(":focus-within")
    let at = list.firstElementChild
    for (const service of shown) {
      let entry = cards.get(service.name)
      if (entry === undefined) {
        entry = serviceCard(service.name, refresh)
        cards.set(service.name, entry)
        list.insertBefore(entry.element, at)
      } else if (at === entry.element) at = at.nextElementSibling
      // What moves loses the focus.
      else if (!held) list.insertBefore(entry.element, at)
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
 * @param {() => void} refresh
 */
function serviceCard(name, refresh) {
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
      {
        title: "Endpoint",
        head: true,
        look: "address",
        text: ({ endpoint }) => endpoint.address,
        order: ({ endpoint }) => endpoint.address,
      },
      { title: "State", text: ({ endpoint }) => stateText(endpoint), tone: ({ endpoint }) => stateTone(endpoint) },
      {
        title: "Weight",
        number: true,
        minor: true,
        text: ({ endpoint }) => String(endpoint.weight),
        order: ({ endpoint }) => endpoint.weight,
      },
      { title: "Req/s", number: true, minor: true, text: (row) => requestText(row), order: ({ figures }) => figures?.requests ?? 0 },
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
      { title: "Orders", make: drainCell },
    ],
  })

  /** @param {EndpointRow} row */
  function drainCell(row) {
    let current = row
    const { element, allow } = orderButton("", {
      press: async () => {
        const { endpoint } = current
        if (await confirmed(isDrained(endpoint) ? takeBack(name, endpoint.address) : drain(name, endpoint.address))) refresh()
      },
    })
    const show = (/** @type {EndpointRow} */ next) => {
      current = next
      const act = isDrained(next.endpoint) ? "Take back" : "Drain"
      say(element, act)
      // It may not have been on the page when the gateway came back.
      allow("")
      set(element, { "aria-label": `${act} ${next.endpoint.address} of ${name}` })
    }
    show(row)
    return { element: h("span", { class: "actions" }, element), update: show }
  }

  return {
    element: h("div", { class: "card endpoints" }, h("header", null, h("h2", null, name), state, facts, spark.element), table.element),
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
      say(facts, `${carried} · ${count(underWay.requests, "request")} under way on ${count(underWay.connections, "connection")}`)
      spark.update({ history: figures?.history ?? [] })
      table.update(
        service.endpoints.map((endpoint) => ({ endpoint, service: name, figures: endpoints.get(`${name} ${endpoint.address}`) })),
      )
    },
  }
}

/**
 * @param {string} service
 * @param {string} address
 * @returns {import("./orders.js").Order}
 */
function drain(service, address) {
  const path = `/services/${part(service)}/endpoints/${encodeURIComponent(address)}/drain`
  return {
    title: `Drain ${address}?`,
    consequence: `It gets no new requests of ${service}; those it has are finished. It stays so until it is taken back.`,
    act: "Drain",
    dangerous: true,
    give: () => order(path),
    otherwise: (why) => ({
      title: `Nobody else could take its requests. Drain ${address} all the same?`,
      // What the command line and the API are told to do about it is no use here.
      consequence: `${why.replace(/; make another one usable first.*$/s, "").replace(/^./, (letter) => letter.toUpperCase())}. Clients notice. It stays so until it is taken back.`,
      act: "Drain all the same",
      dangerous: true,
      give: () => order(`${path}?force=true`),
    }),
  }
}

/**
 * @param {string} service
 * @param {string} address
 * @returns {import("./orders.js").Order}
 */
function takeBack(service, address) {
  return {
    title: `Let ${address} take part again?`,
    consequence: `It gets requests of ${service} again.`,
    act: "Take back",
    give: () => order(`/services/${part(service)}/endpoints/${encodeURIComponent(address)}/undrain`),
  }
}

/**
 * @param {number} value
 * @param {string} what
 */
function count(value, what) {
  return `${whole(value)} ${what}${value === 1 ? "" : "s"}`
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
