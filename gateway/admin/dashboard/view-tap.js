// @ts-check
// Exchanges as they pass, of those that match: their phases, attempts and filters on one scale of time, and their headers.

import { follow } from "./api.js"
import { h, say, svg } from "./dom.js"
import { clock, milliseconds, whole } from "./format.js"
import { tree } from "./tree.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {{ title: string, from: number, to: number, look: string, note: string }} Phase */

/** Exchanges that are kept. */
const KEPT = 200
const FIELDS = [
  ["route", "Route", ""],
  ["service", "Service", ""],
  ["method", "Method", "GET"],
  ["path", "Path", "/orders*"],
  ["status", "Status", "5xx"],
  ["header", "Header", "x-user: alice"],
  ["source", "Source", "10.0.0.0/8"],
]

/** @param {Context} _context */
export function createTap(_context) {
  /** @type {Map<string, HTMLInputElement>} */
  const inputs = new Map()
  for (const [name, , example] of FIELDS)
    inputs.set(name, h("input", { id: `tap-${name}`, name, placeholder: example, autocomplete: "off", spellcheck: "false" }))
  const start = h("button", { type: "submit", class: "primary" }, "Start")
  const pause = h("button", { type: "button", click: togglePause, disabled: true }, "Pause")
  const clear = h("button", { type: "button", click: empty }, "Clear")
  const status = h("p", { class: "note", role: "status" })
  const list = h("tbody")
  const table = h(
    "table",
    null,
    h("caption", { class: "hidden" }, "Exchanges, newest first"),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        ...["Time", "Request", "Status", "Took", "Route", "Endpoint"].map((title, i) =>
          h("th", { scope: "col", class: [3].includes(i) ? "number" : [0, 4, 5].includes(i) ? "minor" : null }, title),
        ),
      ),
    ),
    list,
  )
  const form = h(
    "form",
    {
      submit: (/** @type {Event} */ event) => {
        event.preventDefault()
        if (stop === null) void run()
        else end()
      },
    },
    h("div", { class: "fields" }, ...FIELDS.map(([name, title]) => h("label", { for: `tap-${name}` }, title, inputs.get(name)))),
    h("div", { class: "actions" }, start, pause, clear),
    status,
  )
  const element = h(
    "section",
    { "aria-label": "Tap" },
    card("Tap", form, "live exchanges; secrets in headers are left out"),
    h("div", { class: "card" }, h("div", { class: "scroll" }, table)),
  )
  /** @type {AbortController | null} */
  let stop = null
  let paused = false
  let seen = 0
  let missed = 0

  function togglePause() {
    paused = !paused
    say(pause, paused ? "Go on" : "Pause")
    tell()
  }

  function empty() {
    list.replaceChildren()
    seen = missed = 0
    tell()
  }

  function end() {
    stop?.abort()
    stop = null
    paused = false
    say(start, "Start")
    say(pause, "Pause")
    pause.disabled = true
    tell()
  }

  function tell() {
    const state = stop === null ? "Stopped" : paused ? "Paused" : "Watching"
    say(status, `${state}. ${whole(seen)} exchanges so far${missed > 0 ? `, ${whole(missed)} not shown while it was paused` : ""}.`)
  }

  async function run() {
    const query = new URLSearchParams()
    for (const [name, input] of inputs) if (input.value.trim() !== "") query.set(name, input.value.trim())
    const control = new AbortController()
    stop = control
    say(start, "Stop")
    pause.disabled = false
    tell()
    try {
      await follow(`/tap?${query}`, control.signal, take)
      say(status, "The gateway has ended the stream. Start again to go on.")
      if (stop === control) end()
    } catch (error) {
      if (control.signal.aborted) return
      if (stop === control) end()
      say(status, error instanceof Error ? error.message : String(error))
    }
  }

  /** @param {any} event */
  function take(event) {
    if (event === null || typeof event !== "object" || "alive" in event) return
    if (typeof event.error === "string") return say(status, event.error)
    seen++
    if (paused) missed++
    else {
      list.prepend(...rowOf(event))
      while (list.childElementCount > KEPT * 2) list.lastElementChild?.remove()
    }
    tell()
  }

  return {
    element,
    /** @param {State} state */
    update(state) {
      const route = inputs.get("route")
      if (state.handed !== "" && route !== undefined) route.value = state.handed
    },
    leave: end,
  }
}

/** @param {any} event */
function rowOf(event) {
  const details = h("tr", { hidden: true })
  const opener = h(
    "button",
    { type: "button", class: "link", "aria-expanded": "false" },
    `${event.method ?? ""} ${event.authority ?? ""}${event.path ?? ""}`,
  )
  opener.addEventListener("click", () => {
    if (details.childElementCount === 0) details.append(h("td", { colspan: 6 }, detailsOf(event)))
    details.hidden = !details.hidden
    opener.setAttribute("aria-expanded", String(!details.hidden))
  })
  const failed = event.status >= 500 || event.status === 0 || (typeof event.flag === "string" && event.flag !== "")
  const status = `${event.status === 0 ? "none" : (event.status ?? "")}${event.flag ? ` ${event.flag}` : ""}${typeof event.grpcStatus === "number" && event.grpcStatus >= 0 ? ` grpc ${event.grpcStatus}` : ""}`
  const row = h(
    "tr",
    null,
    h("td", { class: "minor nowrap" }, clock(event.time)),
    h("th", { scope: "row" }, opener),
    h("td", { class: failed ? "bad nowrap" : "nowrap" }, `${failed ? "✕ " : ""}${status}`),
    h("td", { class: "number" }, milliseconds(event.durationMs)),
    h("td", { class: "minor" }, String(event.route ?? "–")),
    h("td", { class: "minor nowrap" }, String(event.upstream ?? event.endpoint ?? "–")),
  )
  return [row, details]
}

/** @param {any} event */
function detailsOf(event) {
  const { trail, attempts, filters, requestHeaders, responseHeaders, ...others } = event
  return h(
    "div",
    null,
    waterfall(event),
    h("div", { class: "halves" }, fields("Request headers", requestHeaders), fields("Response headers", responseHeaders)),
    h("details", null, h("summary", null, "Everything that is known"), tree(others)),
  )
}

/** @param {any} event */
function waterfall(event) {
  const list = phases(event)
  const end = Math.max(...list.map(({ to }) => to), Number(event.durationMs) || 0, 0.001)
  const rows = list.flatMap(({ title, from, to, look, note }) => {
    const width = Math.max(0.6, ((to - from) / end) * 100)
    return [
      h("span", null, title),
      svg(
        "svg",
        { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { class: `phase ${look}`, x: Math.min(99.4, (from / end) * 100), width, height: 10, rx: 1 }),
      ),
      h("span", { class: "nowrap" }, `${milliseconds(to - from)}${note === "" ? "" : ` ${note}`}`),
    ]
  })
  return h("div", { class: "waterfall", role: "group", "aria-label": "Phases" }, ...rows)
}

/**
 * ms from the first octet of the request.
 * @param {any} event
 * @returns {Phase[]}
 */
function phases(event) {
  /** @type {Phase[]} */
  const list = [{ title: "Whole exchange", from: 0, to: Number(event.durationMs) || 0, look: "", note: "" }]
  for (const filter of listOf(event.filters)) {
    const from = Number(filter.began ?? filter.at) || 0
    const held = Number(filter.resumedAt) > 0 ? Number(filter.resumedAt) : from + (Number(filter.took) || 0)
    list.push({
      title: `${filter.name}: ${filter.phase}`,
      from,
      to: held,
      look: filter.outcome === "fail" || filter.outcome === "reset" ? "failed" : "filter",
      note: filter.outcome === "continue" ? "" : String(filter.outcome ?? ""),
    })
  }
  for (const attempt of listOf(event.attempts)) {
    const from = Number(attempt.began) || 0
    const to = Number(attempt.endedAt) > 0 ? Number(attempt.endedAt) : Number(event.durationMs) || from
    const note = attempt.code ? String(attempt.code) : attempt.status ? String(attempt.status) : ""
    const extra = [attempt.reused === true ? "reused connection" : "", attempt.hedged === true ? "hedge" : ""]
      .filter((each) => each !== "")
      .join(", ")
    list.push({
      title: `→ ${attempt.endpoint}`,
      from,
      to,
      look: attempt.code ? "failed" : "attempt",
      note: [note, extra].filter((each) => each !== "").join(", "),
    })
    if (Number(attempt.headAt) > 0)
      list.push({ title: "first octet", from: Number(attempt.sentAt) || from, to: Number(attempt.headAt), look: "attempt", note: "" })
  }
  return list.slice(0, 60)
}

/** @param {unknown} value */
function listOf(value) {
  return /** @type {any[]} */ (Array.isArray(value) ? value : [])
}

/**
 * @param {string} title
 * @param {unknown} headers pairs, a flat list of names and values, or an object
 */
function fields(title, headers) {
  /** @type {[string, string][]} */
  const pairs = []
  if (Array.isArray(headers)) {
    if (headers.every((each) => Array.isArray(each))) for (const [name, value] of headers) pairs.push([String(name), String(value)])
    else for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([String(headers[i]), String(headers[i + 1])])
  } else if (headers !== null && typeof headers === "object")
    for (const [name, value] of Object.entries(headers)) pairs.push([name, String(value)])
  if (pairs.length === 0) return null
  return h(
    "div",
    null,
    h("h3", null, title),
    h("dl", { class: "facts mono" }, ...pairs.flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)])),
  )
}
