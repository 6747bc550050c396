// @ts-check
// The service graph as traffic draws it, an edge as thick as what it carries: who calls which service, where callers show
// certificates, or listeners, routes and services. It shows what the last seconds had, and the most of it where that is too much.

import { fill, h, say, set, svg } from "./dom.js"
import { health, percent, rate } from "./format.js"
import { callerName, callsOf, graphOfCalls, graphOfEdges, OTHERS, routeName, serviceName, shortened } from "./graph.js"
import { liveTable } from "./table.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("./graph.js").EdgeFigures} EdgeFigures */
/** @typedef {import("./graph.js").Call} Call */
/** @typedef {import("./graph.js").Place} Place */

/** Of the drawing and its nodes, by the number of columns; where there is little room, then where there is much. */
const SIZES = {
  2: { narrow: [380, 158], wide: [960, 350] },
  3: { narrow: [600, 165], wide: [960, 210] },
}
/** px of the place for it from which there is much. */
const ROOM = 600
const NODE = { height: 40, gap: 14 }
const TOP = 34
/** Of a letter. */
const LETTER = 6.8

/** @param {Context} context */
export function createGraph({ open }) {
  const drawing = svg("svg", { role: "img", "aria-label": "Service graph" })
  /** @type {(requests: number, success: number | null) => string} */
  const amount = (requests, success) => `${rate(requests)}/s, ${percent(success)}`
  const figures = [
    {
      title: "Req/s",
      number: true,
      text: (/** @type {Call | EdgeFigures} */ { requests }) => rate(requests),
      order: (/** @type {Call | EdgeFigures} */ { requests }) => requests,
    },
    {
      title: "Success",
      number: true,
      text: (/** @type {Call | EdgeFigures} */ { success }) => percent(success),
      tone: (/** @type {Call | EdgeFigures} */ { success }) => health(success),
      order: (/** @type {Call | EdgeFigures} */ { success }) => success ?? 2,
    },
  ]
  const edgeTable = liveTable({
    caption: "Edges of the service graph",
    key: (/** @type {EdgeFigures} */ { listener, route, service }) => `${listener}\n${route}\n${service}`,
    none: "No requests in the last seconds.",
    more: "",
    sort: 3,
    chosen: ({ route }) => open("routes", route),
    columns: [
      { title: "Listener", look: "name", text: ({ listener }) => listener, order: ({ listener }) => listener },
      { title: "Route", head: true, text: ({ route }) => routeName(route), order: ({ route }) => route },
      { title: "Service", look: "name", text: ({ service }) => serviceName(service), order: ({ service }) => service },
      ...figures,
    ],
  })
  const callTable = liveTable({
    caption: "Callers and the services they call",
    key: (/** @type {Call} */ { source, identity, service }) => `${identity} ${source}\n${service}`,
    none: "No requests in the last seconds.",
    more: "",
    sort: 2,
    chosen: ({ service }) => open("services", service === "-" ? "" : service),
    columns: [
      { title: "Caller", look: "name", text: (call) => callerName(call), order: (call) => callerName(call) },
      { title: "Service", head: true, text: ({ service }) => serviceName(service), order: ({ service }) => service },
      ...figures,
    ],
  })
  const note = h("span", { class: "note" })
  const empty = h("p", { class: "note" }, "No requests in the last seconds: the graph is drawn from traffic.")
  const graph = h("div", { class: "graph", tabindex: 0, role: "group", "aria-label": "Service graph, scrolls sideways" }, drawing)
  const choices = [
    { what: "calls", text: "Callers" },
    { what: "edges", text: "Listeners and routes" },
  ].map(({ what, text }) =>
    h(
      "label",
      null,
      h("input", {
        type: "radio",
        name: "graph",
        value: what,
        change: () => {
          chosen = what
          if (known !== null) update(known)
        },
      }),
      text,
    ),
  )
  const choice = h("fieldset", { class: "choice" }, h("legend", { class: "hidden" }, "Drawn from"), ...choices)
  const tables = h("div", null, callTable.element, edgeTable.element)
  const element = h(
    "section",
    { "aria-label": "Service graph" },
    h("div", { class: "card" }, h("header", null, h("h2", null, "Service graph"), note, choice), empty, graph),
    h("div", { class: "card" }, h("header", null, h("h2", null, "The same as a table")), tables),
  )
  /** What it is drawn from; "": as it turns out. */
  let chosen = ""
  /** @type {State | null} */
  let known = null

  /** @param {State} state */
  function update(state) {
    known = state
    const { figures, search } = state
    const anyKnown = (figures?.callers.length ?? 0) > 0
    if (chosen === "" && anyKnown) chosen = "calls"
    // Without anybody known there is nothing to choose.
    choice.hidden = !anyKnown && chosen !== "calls"
    const byCaller = chosen === "calls"
    for (const label of choices) {
      const input = label.querySelector("input")
      if (input !== null) input.checked = (input.value === "calls") === byCaller
    }
    callTable.element.hidden = !byCaller
    edgeTable.element.hidden = byCaller
    const edges = (figures?.edges ?? []).filter(({ listener, route, service }) =>
      [listener, route, service].some((name) => name.includes(search)),
    )
    const calls =
      figures === null ? [] : callsOf(figures).filter((call) => [callerName(call), call.service].some((name) => name.includes(search)))
    if (byCaller) callTable.update(figures === null ? null : calls, figures?.omitted.callers ?? 0)
    else edgeTable.update(figures === null ? null : edges, figures?.omitted.edges ?? 0)
    const left = figures?.omitted[byCaller ? "callers" : "edges"] ?? 0
    say(note, `of the last seconds${left > 0 ? `; ${left.toLocaleString("en")} with less traffic are left out` : ""}`)
    const some = (byCaller ? calls : edges).length > 0
    empty.hidden = some
    graph.hidden = !some
    if (some) draw(byCaller ? graphOfCalls(calls) : graphOfEdges(edges))
  }

  /** @param {ReturnType<typeof graphOfEdges>} what */
  function draw({ columns, flows }) {
    const narrow = graph.clientWidth < ROOM
    const [whole, width] = SIZES[columns.length === 2 ? 2 : 3][narrow ? "narrow" : "wide"]
    const xs = columns.map((_, i) => 4 + (i * (whole - 8 - width)) / (columns.length - 1))
    const rows = Math.max(...columns.map(({ places }) => places.size))
    const height = TOP + rows * (NODE.height + NODE.gap) + 6
    for (const { places } of columns) {
      let y = TOP + ((rows - places.size) * (NODE.height + NODE.gap)) / 2
      for (const place of places.values()) {
        place.y = y
        y += NODE.height + NODE.gap
      }
    }
    const most = Math.max(...flows.map(({ requests }) => requests))
    const paths = flows.map(({ from, to, column, requests, failed }) => {
      const x1 = xs[column] + width
      const x2 = xs[column + 1]
      const y1 = from.y + NODE.height / 2
      const y2 = to.y + NODE.height / 2
      const success = requests === 0 ? null : 1 - failed / requests
      const middle = (x1 + x2) / 2
      return svg(
        "path",
        {
          class: `edge ${health(success)}`,
          d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`,
          "stroke-width": (1.5 + 9 * Math.sqrt(requests / Math.max(most, 0.001))).toFixed(1),
        },
        svg("title", null, `${from.label} → ${to.label}: ${amount(requests, success)}`),
      )
    })
    const nodes = columns.flatMap(({ places, view }, i) => [...places.values()].map((place) => node(place, xs[i], width, view)))
    const titles = columns.map(({ title }, i) => svg("text", { class: "column", x: xs[i], y: 18 }, title))
    set(drawing, { viewBox: `0 0 ${whole} ${height}`, class: narrow && columns.length === 2 ? "narrow" : null })
    fill(drawing, ...paths, ...nodes, ...titles)
  }

  /**
   * @param {Place} place
   * @param {number} x
   * @param {number} width
   * @param {string} view
   */
  function node({ key, label, requests, failed, y }, x, width, view) {
    const success = requests === 0 ? null : 1 - failed / requests
    const leads = view !== "" && key !== OTHERS && key !== "-" && key !== ""
    const sign = { good: "", fair: "! ", bad: "✕ ", idle: "" }[health(success)]
    return svg(
      "g",
      { class: `node ${health(success)}${leads ? " leads" : ""}`, ...(leads ? { click: () => open(view, key) } : {}) },
      svg("title", null, `${label}: ${amount(requests, success)}`),
      svg("rect", { x, y, width, height: NODE.height, rx: 7 }),
      svg("text", { x: x + 11, y: y + 17 }, shortened(label, Math.floor((width - 20) / LETTER))),
      svg("text", { class: "what", x: x + 11, y: y + 32 }, `${sign}${rate(requests)}/s · ${percent(success)}`),
    )
  }

  return { element, update }
}
