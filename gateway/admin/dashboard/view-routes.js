// @ts-check
// The routes: what they match, how much they carry and how well; and the canaries of those that have one.

import { ask, order, part } from "./api.js"
import { fill, h, say } from "./dom.js"
import { health, milliseconds, octets, percent, rate } from "./format.js"
import { confirmed, orderButton } from "./orders.js"
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

/** @type {readonly { what: import("../../resilience/canary.ts").CanaryOrder, act: string, dangerous?: boolean, consequence: (canary: CanaryStatus) => string }[]} */
const ORDERS = [
  { what: "pause", act: "Pause", consequence: ({ share }) => `It keeps its ${percent(share)} of requests until it is resumed.` },
  { what: "resume", act: "Resume", consequence: () => "It goes on with its steps." },
  {
    what: "promote",
    act: "Promote",
    consequence: ({ steps }) => `It gets its last share, ${percent(steps.at(-1))} of requests, at once and for good.`,
  },
  { what: "abort", act: "Abort", dangerous: true, consequence: () => "It gets no requests any more, until it is restarted." },
  { what: "restart", act: "Restart", consequence: ({ steps }) => `It begins with its first step, ${percent(steps[0])} of requests.` },
]

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
  const matching = h("dl", { class: "facts" })
  const now = h("div")
  const tapIt = h("button", { type: "button", click: () => open("tap", chosen) }, "Tap it")
  const details = h(
    "div",
    { class: "card stack", hidden: true },
    h("header", null, title, tapIt),
    matching,
    h("dl", { class: "facts" }, h("dt", null, "now"), h("dd", null, now)),
  )
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
      { title: "Orders", make: canaryOrders },
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

  /** @param {CanaryStatus} canary */
  function canaryOrders(canary) {
    const { route } = canary
    let current = canary
    const buttons = ORDERS.map(({ what, act, dangerous, consequence }) =>
      orderButton(act, {
        name: `${act} the canary of ${route}`,
        press: async () => {
          const give = () => order(`/canaries/${part(route)}/${what}`)
          const title = `${act} the canary of ${route}?`
          if (await confirmed({ title, consequence: consequence(current), act, dangerous, give })) refresh()
        },
      }),
    )
    const update = (/** @type {CanaryStatus} */ next) => {
      current = next
      for (const [i, { what }] of ORDERS.entries()) {
        const why = next.refusals[what]
        buttons[i].allow(why === "" ? "" : `the canary of ${route} ${why}`)
      }
    }
    update(canary)
    return { element: h("span", { class: "actions" }, ...buttons.map(({ element }) => element)), update }
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
    if (known === null || known.routes?.has(name)) return
    const answer = await ask(`/routes?route=${encodeURIComponent(name)}`).catch(() => null)
    if (chosen === name && answer !== null) more = answer.routes
    showDetails()
  }

  function showDetails() {
    details.hidden = chosen === "" || known === null
    if (details.hidden || known === null) return
    say(title, named(chosen))
    // No pattern of a tap means what no route took.
    tapIt.hidden = chosen === "-"
    const matches = known.routes?.get(chosen) ?? more
    const rows = matches
      .slice(0, MATCHES)
      .flatMap(({ listener, match, action, filters }) => [
        h("dt", null, listener),
        h("dd", null, h("span", { class: "mono" }, match), ` → ${action}`, filters.length === 0 ? "" : ` · filters: ${filters.join(", ")}`),
      ])
    if (matches.length > MATCHES) rows.push(h("dt"), h("dd", { class: "soft" }, `${matches.length - MATCHES} more matches`))
    fill(matching, ...rows)
    const flows = (known.figures?.edges ?? [])
      .filter(({ route }) => route === chosen)
      .map(({ listener, service, requests, success }) => `${listener} → ${named(service)}: ${rate(requests)}/s, ${percent(success)}`)
    fill(now, ...(flows.length === 0 ? ["no requests"] : flows.map((flow) => h("div", null, flow))))
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
    if (state.routes === null) table.update(null)
    else table.update([...rows.values()], state.figures?.omitted.routes ?? 0)
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
