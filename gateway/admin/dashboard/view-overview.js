// @ts-check
// The first view: what is wrong, how much is going on and how well, and what has the most of it.

import { bar, chart, sparkline } from "./chart.js"
import { fill, h, say } from "./dom.js"
import { health, microseconds, milliseconds, octets, percent, rate } from "./format.js"
import { named, problemsOf } from "./problems.js"
import { liveTable } from "./table.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("../../telemetry/live-summary.ts").TrafficFigures} TrafficFigures */
/** @typedef {import("../../telemetry/live-summary.ts").FilterFigures} FilterFigures */

/** Rows of each table, and problems that are told. */
const TOP = 8
const PROBLEMS = 12

/** @param {Context} context */
export function createOverview({ open }) {
  const problems = h("ul", { class: "problems" })
  const note = h("span", { class: "note" })
  const requests = figure(
    "Requests",
    "per second",
    [
      { name: "requests", look: "", area: true },
      { name: "failed", look: "failing", area: true },
    ],
    rate,
  )
  const success = figure("Success", "", [{ name: "success", look: "", area: false }], percent, 1)
  const latency = figure(
    "Latency",
    "p99",
    [
      { name: "p50", look: "" },
      { name: "p99", look: "second" },
    ],
    milliseconds,
  )
  const cpu = figure("CPU", "cores", [{ name: "cores", look: "", area: true }], (cores) => cores.toFixed(2))
  const routes = trafficTable("Routes", "routes")
  const services = trafficTable("Services", "services")
  const filters = liveTable({
    caption: "Filters that take the most CPU",
    sortable: false,
    limit: TOP,
    key: (/** @type {FilterFigures} */ { name }) => name,
    none: "No filter has run.",
    more: "",
    chosen: ({ name }) => open("filters", name),
    columns: [
      { title: "Filter", head: true, text: ({ name }) => name },
      { title: "CPU", hint: "Share of what the whole process uses", number: true, make: shareCell },
      { title: "Per call", number: true, text: ({ cost }) => microseconds(cost?.mean) },
      { title: "Calls/s", number: true, text: ({ calls }) => rate(calls) },
      { title: "Traps", number: true, text: ({ traps }) => String(traps), tone: ({ traps }) => (traps > 0 ? "bad" : "") },
    ],
  })

  /**
   * @param {string} title
   * @param {string} view
   */
  function trafficTable(title, view) {
    return liveTable({
      caption: `${title} with the most requests`,
      sortable: false,
      limit: TOP,
      none: "No requests.",
      more: "",
      key: (/** @type {TrafficFigures} */ { name }) => name,
      chosen: ({ name }) => open(view, name),
      columns: [
        { title: title.slice(0, -1), head: true, text: ({ name }) => named(name) },
        { title: "Last minute", minor: true, make: sparkCell },
        { title: "Req/s", number: true, text: (item) => rate(item.requests) },
        { title: "Success", number: true, text: (item) => percent(item.success), tone: (item) => health(item.success) },
        { title: "p50", number: true, minor: true, text: (item) => milliseconds(item.latency?.p50) },
        { title: "p99", number: true, text: (item) => milliseconds(item.latency?.p99) },
      ],
    })
  }

  const traffic = h("dl", { class: "facts" })
  const trafficNote = h("span", { class: "note" })
  const element = h(
    "section",
    { "aria-label": "Overview" },
    h("div", { class: "card" }, h("header", null, h("h2", null, "Problems"), note), problems),
    h("div", { class: "grid" }, requests.element, success.element, latency.element, cpu.element),
    h("div", { class: "halves" }, card("Routes", routes.element), card("Services", services.element)),
    h(
      "div",
      { class: "halves" },
      card("Filters", filters.element, "by CPU"),
      h("div", { class: "card" }, h("header", null, h("h2", null, "Traffic"), trafficNote), traffic),
    ),
  )
  /** What stands there: how each looks, and where its words go. @type {{ look: string, text: Element }[]} */
  let standing = []

  /**
   * Figures in them change all the time: what is the same problem keeps its place, and the focus.
   * @param {readonly import("./problems.js").Problem[]} list
   * @param {boolean} known
   */
  function showProblems(list, known) {
    const looks = list.map(({ level, view, search = "" }) => `${level} ${view} ${search}`)
    if (list.length === 0 && known) looks.push("none")
    if (looks.join("\n") !== standing.map(({ look }) => look).join("\n")) {
      standing = looks.map((look) => ({ look, text: h("span") }))
      fill(
        problems,
        ...standing.map(({ text }, i) =>
          i < list.length
            ? problemItem(list[i], text)
            : h(
                "li",
                { class: "good" },
                h("span", { class: "sign", "aria-hidden": "true" }, "✓"),
                h("span", { class: "text" }, "Nothing. The gateway serves as it is configured."),
              ),
        ),
      )
    }
    for (const [i, { text }] of list.entries()) say(standing[i].text, text)
  }

  /**
   * @param {import("./problems.js").Problem} problem
   * @param {Element} text
   */
  function problemItem({ level, view, search }, text) {
    return h(
      "li",
      { class: level },
      h("span", { class: "sign", "aria-hidden": "true" }, level === "bad" ? "✕" : "!"),
      h(
        "span",
        { class: "text" },
        h("span", { class: "hidden" }, level === "bad" ? "Serious: " : "To know: "),
        text,
        " ",
        view === "overview" ? null : h("button", { type: "button", class: "link", click: () => open(view, search ?? "") }, `${view} →`),
      ),
    )
  }

  /** @param {State} state */
  function update(state) {
    const { figures, ready } = state
    const list = problemsOf(state)
    showProblems(list.slice(0, PROBLEMS), ready !== null)
    say(note, list.length > PROBLEMS ? `${list.length - PROBLEMS} more` : "")
    if (figures === null) return
    const { total, history, seconds } = figures
    requests.update(rate(total.requests), history.requests, history.failures)
    success.update(
      percent(total.success),
      history.requests.map((n, i) => (n === 0 ? null : 1 - history.failures[i] / n)),
    )
    success.tone(health(total.success))
    latency.update(milliseconds(total.latency?.p99), history.p50, history.p99)
    cpu.update(total.cpu.toFixed(2), history.cpu)
    routes.update(figures.routes.slice(0, TOP))
    services.update(figures.services.slice(0, TOP))
    filters.update([...figures.filters].sort((a, b) => b.cpu - a.cpu).slice(0, TOP))
    say(trafficNote, seconds === 0 ? "just begun to look: figures come within a second or two" : `of the last ${Math.round(seconds)} s`)
    facts(traffic, [
      ["p95, p99.9", `${milliseconds(total.latency?.p95)}, ${milliseconds(total.latency?.p999)}`],
      ["refused (4xx)", `${rate(total.rejected)} per second`],
      ["bodies in, out", `${octets(total.received)} and ${octets(total.sent)} per second`],
      ["workers", ready === null ? "" : `${ready.workers.running} of ${ready.workers.wanted}`],
      ["configuration", ready === null ? "" : `generation ${ready.generation}`],
    ])
  }
  return { element, update }
}

/**
 * Names and values, changed in place.
 * @param {HTMLElement} list a `dl`
 * @param {readonly (readonly [string, string])[]} pairs as many as the last time
 */
export function facts(list, pairs) {
  if (list.childElementCount === 0) for (const [title] of pairs) list.append(h("dt", null, title), h("dd"))
  const values = list.querySelectorAll("dd")
  for (const [i, [, value]] of pairs.entries()) say(values[i], value)
}

/**
 * @param {string} title
 * @param {Element} content
 * @param {string} [note]
 */
export function card(title, content, note) {
  return h(
    "div",
    { class: "card" },
    h("header", null, h("h2", null, title), note === undefined ? null : h("span", { class: "note" }, note)),
    content,
  )
}

/**
 * @param {string} label
 * @param {string} unit
 * @param {readonly { name: string, look: string, area?: boolean }[]} series
 * @param {(value: number) => string} format
 * @param {number} [top]
 */
function figure(label, unit, series, format, top) {
  const value = h("span")
  const drawing = chart({ title: label, series, format, top })
  const big = h("div", { class: "value" }, value, unit === "" ? null : h("small", null, unit))
  return {
    element: h("div", { class: "card figure" }, h("h2", { class: "label" }, label), big, drawing.element),
    /**
     * @param {string} text
     * @param {...readonly (number | null)[]} values
     */
    update(text, ...values) {
      say(value, text)
      drawing.update(...values)
    },
    /** @param {string} name */
    tone(name) {
      value.className = name
    },
  }
}

/** @param {{ history: readonly number[] }} item */
export function sparkCell(item) {
  const { element, update } = sparkline()
  update(item.history)
  return { element, update: (/** @type {{ history: readonly number[] }} */ next) => update(next.history) }
}

/** @param {{ share: number }} item */
export function shareCell(item) {
  const { element, update } = bar("busy")
  const text = h("span")
  const show = (/** @type {{ share: number }} */ { share }) => {
    update(share)
    say(text, percent(share))
  }
  show(item)
  return { element: h("span", { class: "share" }, element, text), update: show }
}
