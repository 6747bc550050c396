// @ts-check
// The service graph as traffic draws it: listeners, routes and services in columns, an edge as thick as what it carries. It shows what
// the last seconds had, and the most of it where that is too much.

import { fill, h, svg } from "./dom.js"
import { health, percent, rate } from "./format.js"
import { named } from "./problems.js"
import { liveTable } from "./table.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("../../telemetry/live-summary.ts").EdgeFigures} EdgeFigures */
/** @typedef {{ key: string, label: string, requests: number, failed: number, y: number }} Place */

/** Nodes of a column; the others are one. */
const NODES = 14
const WIDTH = 960
const NODE = { width: 210, height: 40, gap: 14 }
const COLUMNS = [8, 375, 742]
const TOP = 34
const OTHERS = "\u0000others"

/** @param {Context} context */
export function createGraph({ open }) {
  const drawing = svg("svg", { role: "img", "aria-label": "Service graph" })
  const table = liveTable({
    caption: "Edges of the service graph",
    key: (/** @type {EdgeFigures} */ { listener, route, service }) => `${listener}\n${route}\n${service}`,
    none: "No requests in the last seconds.",
    more: "",
    sort: 3,
    columns: [
      { title: "Listener", head: true, text: ({ listener }) => listener, order: ({ listener }) => listener },
      { title: "Route", text: ({ route }) => routeName(route), order: ({ route }) => route },
      { title: "Service", text: ({ service }) => serviceName(service), order: ({ service }) => service },
      { title: "Req/s", number: true, text: ({ requests }) => rate(requests), order: ({ requests }) => requests },
      {
        title: "Success",
        number: true,
        text: ({ success }) => percent(success),
        tone: ({ success }) => health(success),
        order: ({ success }) => success ?? 2,
      },
    ],
  })
  const empty = h("p", { class: "note" }, "No requests in the last seconds: the graph is drawn from traffic.")
  const graph = h("div", { class: "graph", tabindex: 0, role: "group", "aria-label": "Service graph, scrolls sideways" }, drawing)
  const element = h(
    "section",
    { "aria-label": "Service graph" },
    card("Service graph", h("div", null, empty, graph), "of the last seconds"),
    card("The same as a table", table.element),
  )

  /** @param {State} state */
  function update(state) {
    const all = state.figures?.edges ?? []
    const edges = all.filter(({ listener, route, service }) => [listener, route, service].some((name) => name.includes(state.search)))
    table.update(edges, state.figures?.omitted.edges ?? 0)
    empty.hidden = edges.length > 0
    graph.hidden = edges.length === 0
    if (edges.length > 0) draw(edges)
  }

  /** @param {readonly EdgeFigures[]} edges */
  function draw(edges) {
    const columns = [
      places(
        edges,
        ({ listener }) => listener,
        (name) => name,
      ),
      places(edges, ({ route }) => route, routeName),
      places(edges, ({ service }) => service, serviceName),
    ]
    const rows = Math.max(...columns.map(({ size }) => size))
    const height = TOP + rows * (NODE.height + NODE.gap) + 6
    for (const column of columns) {
      const free = (rows - column.size) * (NODE.height + NODE.gap)
      let y = TOP + free / 2
      for (const place of column.values()) {
        place.y = y
        y += NODE.height + NODE.gap
      }
    }
    const most = Math.max(...edges.map(({ requests }) => requests))
    /** @type {Map<string, { from: Place, to: Place, column: number, requests: number, failed: number }>} */
    const lines = new Map()
    for (const edge of edges) {
      const ends = [edge.listener, edge.route, edge.service].map((key, i) => columns[i].get(key) ?? columns[i].get(OTHERS))
      for (const column of [0, 1]) {
        const [from, to] = [ends[column], ends[column + 1]]
        if (from === undefined || to === undefined) continue
        const key = `${column}\n${from.key}\n${to.key}`
        const line = lines.get(key) ?? { from, to, column, requests: 0, failed: 0 }
        line.requests += edge.requests
        line.failed += edge.requests * (1 - (edge.success ?? 1))
        lines.set(key, line)
      }
    }
    const paths = [...lines.values()].map(({ from, to, column, requests, failed }) => {
      const x1 = COLUMNS[column] + NODE.width
      const x2 = COLUMNS[column + 1]
      const y1 = from.y + NODE.height / 2
      const y2 = to.y + NODE.height / 2
      const success = requests === 0 ? null : 1 - failed / requests
      const width = 1.5 + 9 * Math.sqrt(requests / Math.max(most, 0.001))
      const middle = (x1 + x2) / 2
      return svg(
        "path",
        {
          class: `edge ${health(success)}`,
          d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`,
          "stroke-width": Math.min(width, 12).toFixed(1),
        },
        svg("title", null, `${from.label} → ${to.label}: ${rate(requests)}/s, ${percent(success)}`),
      )
    })
    const nodes = columns.flatMap((column, i) =>
      [...column.values()].map((place) => node(place, COLUMNS[i], ["", "routes", "services"][i])),
    )
    const titles = ["Listeners", "Routes", "Services"].map((text, i) => svg("text", { class: "column", x: COLUMNS[i], y: 18 }, text))
    drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`)
    fill(drawing, ...paths, ...nodes, ...titles)
  }

  /**
   * @param {Place} place
   * @param {number} x
   * @param {string} view
   */
  function node({ key, label, requests, failed, y }, x, view) {
    const success = requests === 0 ? null : 1 - failed / requests
    const leads = view !== "" && key !== OTHERS && key !== "-" && key !== ""
    const sign = { good: "", fair: "! ", bad: "✕ ", idle: "" }[health(success)]
    return svg(
      "g",
      { class: `node ${health(success)}`, ...(leads ? { click: () => open(view, key) } : {}) },
      svg("title", null, `${label}: ${rate(requests)}/s, ${percent(success)}`),
      svg("rect", { x, y, width: NODE.width, height: NODE.height, rx: 7 }),
      svg("text", { x: x + 11, y: y + 17 }, label.length > 27 ? `${label.slice(0, 26)}…` : label),
      svg("text", { class: "what", x: x + 11, y: y + 32 }, `${sign}${rate(requests)}/s · ${percent(success)}`),
    )
  }

  return { element, update }
}

/**
 * The busiest names of a column, the others as one; by name, so that they don't jump.
 * @param {readonly EdgeFigures[]} edges
 * @param {(edge: EdgeFigures) => string} nameOf
 * @param {(name: string) => string} label
 * @returns {Map<string, Place>}
 */
function places(edges, nameOf, label) {
  /** @type {Map<string, Place>} */
  const all = new Map()
  for (const edge of edges) {
    const key = nameOf(edge)
    const place = all.get(key) ?? { key, label: label(key), requests: 0, failed: 0, y: 0 }
    place.requests += edge.requests
    place.failed += edge.requests * (1 - (edge.success ?? 1))
    all.set(key, place)
  }
  const ranked = [...all.values()].sort((a, b) => b.requests - a.requests)
  const kept = ranked.slice(0, ranked.length > NODES ? NODES - 1 : NODES).sort((a, b) => (a.key < b.key ? -1 : 1))
  const rest = ranked.slice(kept.length)
  if (rest.length > 0) {
    const sum = (/** @type {"requests" | "failed"} */ what) => rest.reduce((total, place) => total + place[what], 0)
    kept.push({ key: OTHERS, label: `${rest.length} others`, requests: sum("requests"), failed: sum("failed"), y: 0 })
  }
  return new Map(kept.map((place) => [place.key, place]))
}

/** @param {string} route */
function routeName(route) {
  return route === "" ? "(connections)" : named(route)
}

/** @param {string} service */
function serviceName(service) {
  return service === "-" ? "(answered here)" : service
}
