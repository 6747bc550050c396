// @ts-check
// Exchanges as they pass, of those that match: their phases, attempts and filters on one scale of time, and their headers.

import { follow } from "./api.js"
import { fill, h, say, set, svg } from "./dom.js"
import { clock, milliseconds, whole } from "./format.js"
import { tree } from "./tree.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {{ title: string, from: number, took: number, look: string, note: string }} Bar */
/** @typedef {{ name: string, phase: string, start: number, took: number, waited?: number, outcome: string, added?: string[], changed?: string[], removed?: string[] }} FilterStep */
/** @typedef {{ endpoint: string, start: number, connection: number, upstream: number, took: number, reused: boolean, hedged: boolean, status: number, failed: string }} AttemptStep */
/**
 * A line of `/tap`.
 * @typedef {{ time: string, protocol: string, method?: string, path?: string, authority?: string, route: string, service: string, endpoint: string,
 *   status?: number, grpcStatus?: number, flag: string, duration: number, phases?: object, filters?: FilterStep[], attempts?: AttemptStep[],
 *   requestHeaders?: [string, string][], responseHeaders?: [string, string][] }} TapEvent
 */

/** Exchanges that are kept. */
const KEPT = 200
/** ms that they are gathered for: they may come by the hundred. */
const GATHER = 250
/** Characters of a path that isn't repeated among the details. */
const LONG = 60
/** Names that are offered in a field. */
const OFFERED = 200
const FIELDS = [
  ["route", "Route", ""],
  ["service", "Service", ""],
  ["method", "Method", "GET"],
  ["path", "Path", "/orders"],
  ["status", "Status", "5xx"],
  ["header", "Header", "x-user=alice"],
  ["source", "Source", "10.0.0.0/8"],
]

/** @param {Context} _context */
export function createTap(_context) {
  /** @type {Map<string, HTMLInputElement>} */
  const inputs = new Map()
  for (const [name, , example] of FIELDS)
    inputs.set(
      name,
      h("input", {
        id: `tap-${name}`,
        name,
        placeholder: example || "any",
        list: `known-${name}`,
        autocomplete: "off",
        spellcheck: "false",
      }),
    )
  const known = ["route", "service"].map((name) => h("datalist", { id: `known-${name}` }))
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
    ...known,
  )
  const shown = h("div", { class: "card", hidden: true }, h("div", { class: "scroll" }, table))
  const element = h(
    "section",
    { "aria-label": "Tap" },
    card("Tap", form, "exchanges as they pass, of those that have what the fields say; secrets in headers are left out"),
    shown,
  )
  /** @type {AbortController | null} */
  let stop = null
  /** Those that are not shown yet. @type {TapEvent[]} */
  let waiting = []
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let paused = false
  let seen = 0
  let missed = 0
  /** What the gateway said of why it ends. */
  let said = ""

  function togglePause() {
    paused = !paused
    say(pause, paused ? "Go on" : "Pause")
    tell()
  }

  function empty() {
    list.replaceChildren()
    waiting = []
    shown.hidden = true
    seen = missed = 0
    tell()
  }

  function end() {
    flush()
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
    said = ""
    say(start, "Stop")
    pause.disabled = false
    tell()
    try {
      await follow(`/tap?${query}`, control.signal, take)
      if (stop === control) end()
      say(status, said === "" ? "The gateway has ended the stream. Start again to go on." : said)
    } catch (error) {
      if (control.signal.aborted) return
      if (stop === control) end()
      say(status, error instanceof Error ? error.message : String(error))
    }
  }

  /** @param {any} event */
  function take(event) {
    if (event === null || typeof event !== "object" || "alive" in event) return
    if (typeof event.error === "string") {
      said = event.error
      return
    }
    seen++
    if (paused) missed++
    else {
      waiting.push(event)
      if (waiting.length > KEPT) waiting.shift()
    }
    timer ??= setTimeout(flush, GATHER)
  }

  function flush() {
    clearTimeout(timer)
    timer = undefined
    if (waiting.length > 0) {
      list.prepend(...waiting.reverse().flatMap(rowOf))
      waiting = []
      shown.hidden = false
    }
    while (list.childElementCount > KEPT * 2) list.lastElementChild?.remove()
    tell()
  }

  return {
    element,
    /** @param {State} state */
    update(state) {
      const route = inputs.get("route")
      if (state.handed !== "" && route !== undefined) route.value = state.handed
      for (const [i, items] of [state.figures?.routes, state.figures?.services].entries()) {
        const names = (items ?? []).slice(0, OFFERED).map(({ name }) => name)
        if (
          [...known[i].children].some((option, at) => option.getAttribute("value") !== names[at]) ||
          known[i].childElementCount !== names.length
        )
          fill(known[i], ...names.map((name) => h("option", { value: name })))
      }
    },
    leave: end,
  }
}

/** @param {TapEvent} event */
function rowOf(event) {
  const details = h("tr", { hidden: true })
  const tcp = event.protocol === "TCP"
  const title = tcp
    ? `TCP connection${event.authority ? ` to ${event.authority}` : ""}`
    : `${event.method ?? ""} ${event.authority ?? ""}${event.path ?? ""}`
  const opener = h("button", { type: "button", class: "link", "aria-expanded": "false" }, h("span", { class: "clip" }, title))
  opener.addEventListener("click", () => {
    if (details.childElementCount === 0) details.append(h("td", { colspan: 6 }, detailsOf(event)))
    details.hidden = !details.hidden
    set(opener, { "aria-expanded": String(!details.hidden) })
  })
  const failed = event.flag !== "" || (event.status ?? 200) >= 500 || event.status === 0
  const words = [
    tcp ? "" : event.status === 0 ? "none" : String(event.status ?? ""),
    event.flag,
    event.grpcStatus === undefined ? "" : `grpc ${event.grpcStatus}`,
  ]
  const row = h(
    "tr",
    null,
    h("td", { class: "minor nowrap" }, clock(event.time)),
    h("th", { scope: "row" }, opener),
    h("td", { class: failed ? "bad nowrap" : "nowrap" }, `${failed ? "✕ " : ""}${words.filter((word) => word !== "").join(" ")}`),
    h("td", { class: "number" }, milliseconds(event.duration)),
    h("td", { class: "minor" }, event.route === "" ? "–" : event.route),
    h("td", { class: "minor nowrap" }, event.endpoint === "" ? "–" : event.endpoint),
  )
  return [row, details]
}

/** @param {TapEvent} event */
function detailsOf(event) {
  const { phases, attempts, filters, requestHeaders, responseHeaders, ...others } = event
  return h(
    "div",
    { class: "stack" },
    event.path === undefined || event.path.length < LONG ? null : h("p", { class: "mono" }, event.path),
    waterfall(event),
    h("div", { class: "halves" }, headers("Request headers", requestHeaders), headers("Response headers", responseHeaders)),
    h("details", null, h("summary", null, "Everything that is known"), tree({ ...others, phases, attempts, filters })),
  )
}

/** @param {TapEvent} event */
function waterfall(event) {
  const bars = barsOf(event)
  const end = Math.max(...bars.map(({ from, took }) => from + took), 0.001)
  const rows = bars.map(({ title, from, took, look, note }) =>
    h(
      "div",
      { class: "row" },
      h("span", null, title),
      svg(
        "svg",
        { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", {
          class: `phase ${look}`,
          x: Math.min(99.4, (from / end) * 100),
          width: Math.max(0.6, (took / end) * 100),
          height: 10,
          rx: 1,
        }),
      ),
      h("span", null, `${milliseconds(took)}${note === "" ? "" : ` ${note}`}`),
    ),
  )
  return h("div", { class: "waterfall", role: "group", "aria-label": "Phases, from the first octet of the request" }, ...rows)
}

/**
 * ms from the first octet of the request.
 * @param {TapEvent} event
 * @returns {Bar[]}
 */
function barsOf({ duration, filters = [], attempts = [] }) {
  /** @type {Bar[]} */
  const bars = [{ title: "whole", from: 0, took: duration, look: "", note: "" }]
  for (const { name, phase, start, took, waited = 0, outcome, added = [], changed = [], removed = [] } of filters) {
    const edits = [
      ...added.map((field) => `+${field}`),
      ...changed.map((field) => `~${field}`),
      ...removed.map((field) => `−${field}`),
    ].slice(0, 6)
    const note = [outcome === "continue" ? "" : outcome, edits.join(" ")].filter((each) => each !== "").join(", ")
    bars.push({
      title: `${name}: ${phase}`,
      from: start,
      took: took + waited,
      look: outcome === "fail" || outcome === "reset" ? "failed" : "filter",
      note,
    })
  }
  for (const { endpoint, start, connection, upstream, took, reused, hedged, status, failed } of attempts) {
    const about = [failed === "" ? String(status || "") : failed, reused ? "reused connection" : "", hedged ? "hedge" : ""]
    bars.push({
      title: `→\u00a0${endpoint}`,
      from: start,
      took,
      look: failed === "" ? "attempt" : "failed",
      note: about.filter((each) => each !== "").join(", "),
    })
    if (connection > 0.05) bars.push({ title: "until connected", from: start, took: connection, look: "attempt", note: "" })
    if (upstream >= 0)
      bars.push({ title: "until it answered", from: start + Math.max(0, connection), took: upstream, look: "attempt", note: "" })
  }
  return bars.sort((a, b) => a.from - b.from || b.took - a.took).slice(0, 60)
}

/**
 * @param {string} title
 * @param {readonly (readonly [string, string])[] | undefined} pairs
 */
function headers(title, pairs) {
  if (pairs === undefined) return null
  return h(
    "div",
    null,
    h("h3", null, title),
    h("dl", { class: "facts mono" }, ...pairs.flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)])),
  )
}
