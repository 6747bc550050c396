// @ts-check
// The routes: what they match, how much they carry and how well; and the canaries of those that have one.

import { ask, order, part } from "./api.js"
import { confirmed } from "./dialog.js"
import { fill, h, say } from "./dom.js"
import { health, milliseconds, octets, percent, rate } from "./format.js"
import { named } from "./problems.js"
import { liveTable } from "./table.js"
import { card, sparkCell } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("../../telemetry/live-summary.ts").TrafficFigures} TrafficFigures */
/**
 * A match of a route, as `/routes` tells it.
 * @typedef {{ listener: string, route: string, host: string, path: string, match: string, action: string, filters: readonly string[] }} Match
 */
/** @typedef {{ name: string, figures: TrafficFigures | null, about: readonly Match[] }} Row */
/** @typedef {import("../../canary/canary-changes.ts").CanaryStatus} CanaryStatus */

/** Matches of a route that are shown. */
const MATCHES = 20

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
        text: ({ state, reason }) => `${state === "rolledBack" ? "✕ rolled back" : state}${reason === "" ? "" : `: ${reason}`}`,
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
  /** @type {readonly Match[]} */
  let more = []

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
    more = []
    showDetails()
    void lookUp(name)
    details.scrollIntoView({ block: "nearest" })
  }

  /**
   * Of ten thousand routes not all are known here.
   * @param {string} name
   */
  async function lookUp(name) {
    if (known === null || !known.has("/routes") || known.routes?.has(name)) return
    const answer = await ask(`/routes?route=${encodeURIComponent(name)}`).catch(() => null)
    if (chosen === name && answer !== null) more = answer.routes
    showDetails()
  }

  function showDetails() {
    details.hidden = chosen === "" || known === null
    if (details.hidden || known === null) return
    say(title, named(chosen))
    const matches = known.routes?.get(chosen) ?? more
    const edges = (known.figures?.edges ?? []).filter(({ route }) => route === chosen)
    const rows = matches
      .slice(0, MATCHES)
      .flatMap(({ listener, match, action, filters }) => [
        h("dt", null, listener),
        h("dd", null, h("span", { class: "mono" }, match), ` → ${action}`, filters.length === 0 ? "" : ` · filters: ${filters.join(", ")}`),
      ])
    if (matches.length > MATCHES) rows.push(h("dt"), h("dd", { class: "soft" }, `${matches.length - MATCHES} more matches`))
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
      rows.set(figures.name, { name: figures.name, figures, about: state.routes?.get(figures.name) ?? [] })
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

/** @param {readonly Match[]} matches */
function matchText(matches) {
  if (matches.length === 0) return ""
  const text = matches[0].match.slice(0, 120)
  return matches.length === 1 ? text : `${text}, and ${matches.length - 1} more`
}

/** @param {{ element: Element, update: (item: { history: readonly number[] }) => void }} cell */
function wrap({ element, update }) {
  return { element, update: (/** @type {Row} */ { figures }) => update({ history: figures?.history ?? [] }) }
}
