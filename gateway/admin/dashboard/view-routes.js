// @ts-check
// The routes: what they match, how much they carry and how well; and the canaries of those that have one.

import { order, part } from "./api.js"
import { confirmed } from "./dialog.js"
import { fill, h, say } from "./dom.js"
import { health, milliseconds, octets, percent, rate } from "./format.js"
import { named } from "./problems.js"
import { liveTable } from "./table.js"
import { card, sparkCell } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("../../telemetry/live-summary.ts").TrafficFigures} TrafficFigures */
/** @typedef {{ name: string, figures: TrafficFigures | null, about: any }} Row */
/** @typedef {import("../../canary/canary-changes.ts").CanaryStatus} CanaryStatus */

const ORDERS = {
  pause: "It stays in its step until it is resumed.",
  resume: "It goes on with its steps.",
  promote: "It gets its last share at once, for good.",
  abort: "It gets no requests any more.",
  restart: "It begins with its first step.",
}

/** @param {Context} context */
export function createRoutes({ open, refresh }) {
  const table = liveTable({
    caption: "Routes",
    key: (/** @type {Row} */ { name }) => name,
    none: "No route has this in its name, and none had requests.",
    sort: 3,
    chosen: (row) => pick(row),
    columns: [
      { title: "Route", head: true, text: ({ name }) => named(name), order: ({ name }) => name },
      { title: "Matches", minor: true, look: "mono soft", text: ({ about }) => matchText(about) },
      { title: "Last minute", minor: true, make: ({ figures }) => wrap(sparkCell({ history: figures?.history ?? [] })) },
      { title: "Req/s", number: true, text: ({ figures }) => rate(figures?.requests ?? 0), order: ({ figures }) => figures?.requests ?? 0 },
      {
        title: "Success",
        number: true,
        text: ({ figures }) => percent(figures?.success),
        tone: ({ figures }) => health(figures?.success),
        order: ({ figures }) => figures?.success ?? 2,
      },
      {
        title: "p50",
        number: true,
        minor: true,
        text: ({ figures }) => milliseconds(figures?.latency?.p50),
        order: ({ figures }) => figures?.latency?.p50 ?? -1,
      },
      {
        title: "p95",
        number: true,
        minor: true,
        text: ({ figures }) => milliseconds(figures?.latency?.p95),
        order: ({ figures }) => figures?.latency?.p95 ?? -1,
      },
      {
        title: "p99",
        number: true,
        text: ({ figures }) => milliseconds(figures?.latency?.p99),
        order: ({ figures }) => figures?.latency?.p99 ?? -1,
      },
      {
        title: "p99.9",
        number: true,
        minor: true,
        text: ({ figures }) => milliseconds(figures?.latency?.p999),
        order: ({ figures }) => figures?.latency?.p999 ?? -1,
      },
      {
        title: "Out/s",
        number: true,
        minor: true,
        text: ({ figures }) => octets(figures?.sent ?? 0),
        order: ({ figures }) => figures?.sent ?? 0,
      },
    ],
  })
  const title = h("h2")
  const facts = h("dl", { class: "facts" })
  const details = h("div", { class: "card", hidden: true }, h("header", null, title), facts)
  const canaries = liveTable({
    caption: "Canaries",
    sortable: false,
    key: (/** @type {CanaryStatus} */ { route }) => route,
    none: "No route has a canary.",
    columns: [
      { title: "Route", head: true, text: ({ route }) => route },
      { title: "Service", text: ({ service }) => service },
      {
        title: "State",
        text: ({ state, reason }) => (reason === "" ? state : `${state}: ${reason}`),
        tone: ({ state }) => (state === "rolledBack" ? "bad" : ""),
      },
      { title: "Share", number: true, text: ({ share }) => percent(share) },
      { title: "Step", number: true, minor: true, text: ({ step, steps }) => `${step} of ${steps.length}` },
      { title: "Orders", make: ({ route }) => ({ element: canaryOrders(route) }) },
    ],
  })
  const canaryCard = card("Canaries", canaries.element)
  canaryCard.hidden = true
  const element = h("section", { "aria-label": "Routes" }, card("Routes", table.element), details, canaryCard)
  /** @type {State | null} */
  let known = null
  let chosen = ""

  /** @param {string} route */
  function canaryOrders(route) {
    const buttons = Object.entries(ORDERS).map(([what, consequence]) =>
      h(
        "button",
        {
          type: "button",
          click: async () => {
            const give = () => order(`/canaries/${part(route)}/${what}`)
            if (await confirmed({ title: `${what} the canary of ${route}?`, consequence, act: what, dangerous: what === "abort", give }))
              refresh()
          },
        },
        what,
      ),
    )
    return h("span", { class: "actions" }, ...buttons)
  }

  /** @param {Row} row */
  function pick({ name }) {
    chosen = name
    showDetails()
    details.scrollIntoView({ block: "nearest" })
  }

  function showDetails() {
    details.hidden = chosen === "" || known === null
    if (details.hidden || known === null) return
    say(title, named(chosen))
    const about = known.routes?.get(chosen)
    const edges = (known.figures?.edges ?? []).filter(({ route }) => route === chosen)
    const rows = Object.entries(about ?? {})
      .filter(
        ([key, value]) =>
          key !== "name" && value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0),
      )
      .flatMap(([key, value]) => [
        h("dt", null, key),
        h("dd", { class: "mono" }, typeof value === "string" ? value : JSON.stringify(value)),
      ])
    const flows = edges.map(({ listener, service, requests, success }) =>
      h("div", null, `${listener} → ${named(service)}: ${rate(requests)}/s, ${percent(success)}`),
    )
    const links = [h("button", { type: "button", click: () => open("tap", chosen) }, "Tap it")]
    fill(
      facts,
      ...rows,
      h("dt", null, "now"),
      h("dd", null, ...(flows.length === 0 ? ["no requests"] : flows)),
      h("dt"),
      h("dd", null, ...(known.has("/tap") ? links : [])),
    )
  }

  /** @param {State} state */
  function update(state) {
    known = state
    /** @type {Map<string, Row>} */
    const rows = new Map()
    for (const figures of state.figures?.routes ?? [])
      rows.set(figures.name, { name: figures.name, figures, about: state.routes?.get(figures.name) })
    for (const [name, about] of state.routes ?? []) {
      if (!rows.has(name) && (name.includes(state.search) || matchText(about).includes(state.search)))
        rows.set(name, { name, figures: null, about })
    }
    table.update([...rows.values()], state.figures?.omitted.routes ?? 0)
    canaryCard.hidden = (state.canaries ?? []).length === 0
    canaries.update(state.canaries ?? [])
    showDetails()
  }
  return { element, update }
}

/** @param {any} about a route as `/routes` tells it */
function matchText(about) {
  if (about === null || about === undefined) return ""
  const { match, hosts, matches } = about
  const what = match ?? matches
  const text = typeof what === "string" ? what : what === undefined ? "" : JSON.stringify(what)
  return `${Array.isArray(hosts) && hosts.length > 0 ? `${hosts.slice(0, 3).join(", ")} ` : ""}${text}`.slice(0, 120)
}

/** @param {{ element: Element, update: (item: { history: readonly number[] }) => void }} cell */
function wrap({ element, update }) {
  return { element, update: (/** @type {Row} */ { figures }) => update({ history: figures?.history ?? [] }) }
}
