// @ts-check
// The filters: what each costs, how it is, which version serves; what it logs; and the orders it takes.

import { ask, order, part } from "./api.js"
import { confirmed, report } from "./dialog.js"
import { fill, h, say } from "./dom.js"
import { clock, microseconds, moment, octets, rate, whole } from "./format.js"
import { liveTable } from "./table.js"
import { card, shareCell, sparkCell } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("../status.ts").FilterStatus} FilterStatus */
/** @typedef {import("../status.ts").FilterVersionStatus} FilterVersionStatus */
/** @typedef {import("../../telemetry/live-summary.ts").FilterFigures} FilterFigures */
/** @typedef {{ filter: FilterStatus, figures: FilterFigures | undefined }} Row */

/** Lines of a filter's log that are shown. */
const LINES = 200
/** Octets of a module that can be pushed. */
const MAX_MODULE = 16 * 1024 * 1024

const ORDERS = [
  { name: "rollback", act: "Roll back", dangerous: true, consequence: "The version before serves from the next request on." },
  { name: "release", act: "Release", dangerous: false, consequence: "What was rolled back or quarantined takes part again." },
  {
    name: "quarantine",
    act: "Quarantine",
    dangerous: true,
    consequence: "It is not run any more; its onError decides what becomes of requests: deny answers them with a 500, skip leaves it out.",
  },
]

/** @param {Context} context */
export function createFilters({ refresh }) {
  const table = liveTable({
    caption: "Filters",
    key: (/** @type {Row} */ { filter }) => filter.name,
    none: "No filter is configured, or none has this in its name.",
    sort: 4,
    chosen: ({ filter }) => pick(filter.name),
    columns: [
      { title: "Filter", head: true, text: ({ filter }) => filter.name, order: ({ filter }) => filter.name },
      {
        title: "State",
        text: ({ filter }) => stateText(filter),
        tone: ({ filter }) => (filter.state === "running" && filter.refused === null ? "good" : "bad"),
        order: ({ filter }) => filter.state,
      },
      {
        title: "Per call",
        hint: "Mean time of one phase",
        number: true,
        text: ({ figures }) => microseconds(figures?.cost?.mean),
        order: ({ figures }) => figures?.cost?.mean ?? -1,
      },
      {
        title: "p99",
        number: true,
        minor: true,
        text: ({ figures }) => microseconds(figures?.cost?.p99),
        order: ({ figures }) => figures?.cost?.p99 ?? -1,
      },
      {
        title: "CPU",
        hint: "Share of what the whole process uses",
        number: true,
        make: ({ figures }) => wrapShare(figures),
        order: ({ figures }) => figures?.cpu ?? 0,
      },
      { title: "Last minute", minor: true, make: ({ figures }) => wrapSpark(figures) },
      {
        title: "Calls/s",
        number: true,
        minor: true,
        text: ({ figures }) => rate(figures?.calls ?? 0),
        order: ({ figures }) => figures?.calls ?? 0,
      },
      {
        title: "Traps",
        hint: "Since the gateway started",
        number: true,
        text: ({ filter }) => whole(trapsOf(filter)),
        tone: ({ filter }) => (trapsOf(filter) > 0 ? "bad" : ""),
        order: ({ filter }) => trapsOf(filter),
      },
      {
        title: "Gen",
        hint: "Times its module has changed",
        number: true,
        minor: true,
        text: ({ filter }) => String(filter.generation),
        order: ({ filter }) => filter.generation,
      },
    ],
  })
  const details = h("div", { class: "card", hidden: true })
  const element = h("section", { "aria-label": "Filters" }, card("Filters", table.element, "cost and share of the last seconds"), details)
  /** @type {State | null} */
  let known = null
  let chosen = ""
  /** @type {ReturnType<typeof filterDetails> | null} */
  let shown = null

  /** @param {string} name */
  function pick(name) {
    chosen = name
    shown = known === null ? null : filterDetails(name, known, refresh)
    fill(details, shown?.element)
    details.hidden = false
    const filter = known?.filters?.find((each) => each.name === name)
    if (filter !== undefined) shown?.update(filter)
    details.scrollIntoView({ block: "nearest" })
  }

  /** @param {State} state */
  function update(state) {
    known = state
    const costs = new Map((state.figures?.filters ?? []).map((each) => [each.name, each]))
    const filters = (state.filters ?? []).filter(({ name }) => name.includes(state.search))
    table.update(filters.map((filter) => ({ filter, figures: costs.get(filter.name) })))
    const exact = filters.find(({ name }) => name === state.search)
    if (exact !== undefined && chosen !== exact.name) pick(exact.name)
    const filter = (state.filters ?? []).find(({ name }) => name === chosen)
    details.hidden = filter === undefined
    if (filter !== undefined) shown?.update(filter)
  }
  return { element, update }
}

/**
 * @param {string} name
 * @param {State} state
 * @param {() => void} refresh
 */
function filterDetails(name, state, refresh) {
  const path = `/filters/${part(name)}`
  const facts = h("dl", { class: "facts" })
  const versions = liveTable({
    caption: `Versions of ${name}`,
    sortable: false,
    key: (/** @type {FilterVersionStatus} */ version) => version.name,
    columns: [
      { title: "Version", head: true, text: (version) => `${version.name}${version.pushed ? " (pushed)" : ""}` },
      {
        title: "State",
        text: (version) =>
          version.rolledBack !== null
            ? `✕ rolled back: ${version.rolledBack.message}`
            : `${version.state === "running" ? "✓" : "✕"} ${version.state}`,
        tone: (version) => (version.rolledBack !== null || version.state !== "running" ? "bad" : "good"),
      },
      { title: "Weight", number: true, text: (version) => String(version.weight) },
      { title: "Exchanges", number: true, minor: true, text: (version) => whole(version.exchanges) },
      { title: "Failed", number: true, text: (version) => whole(version.failures), tone: (version) => (version.failures > 0 ? "bad" : "") },
      { title: "p50", number: true, minor: true, text: (version) => microseconds(version.duration.p50 / 1000) },
      { title: "p99", number: true, minor: true, text: (version) => microseconds(version.duration.p99 / 1000) },
      { title: "Gen", number: true, minor: true, text: (version) => String(version.generation) },
      { title: "Digest", minor: true, look: "mono", text: (version) => version.digest.slice(0, 12) },
    ],
  })
  /** @type {HTMLElement[]} */
  const orders = []
  for (const { name: what, act, dangerous, consequence } of ORDERS) {
    if (!state.has(`/filters/*/${what}`)) continue
    const give = () => order(`${path}/${what}`)
    orders.push(
      h(
        "button",
        {
          type: "button",
          class: dangerous ? "danger" : "",
          click: async () => ((await confirmed({ title: `${act} ${name}?`, consequence, act, dangerous, give })) ? refresh() : undefined),
        },
        act,
      ),
    )
  }
  const file = h("input", { type: "file", accept: ".wasm,application/wasm", id: "module", name: "module" })
  const version = h("select", { id: "version", name: "version" })
  const push = h("button", { type: "button", class: "primary", click: pushModule }, "Push")
  const back = h("button", { type: "button", click: takeBack }, "Take back")
  const pushing = h(
    "div",
    { class: "fields" },
    h("label", { for: "module" }, "Module (.wasm)", file),
    h("label", { for: "version" }, "In the place of version", version),
    h("div", { class: "actions wide" }, push, back, ...orders),
  )
  const log = h("pre", { tabindex: 0, "aria-label": `Log of ${name}` })
  const logs = h("div", { hidden: !state.has("/filters/*/logs") }, h("h3", null, "What it logs"), log)
  const lastError = h("p", { class: "bad" })
  let names = ""
  let asked = 0

  async function pushModule() {
    const module = file.files?.[0]
    if (module === undefined) return report("choose a module first, a .wasm file", "bad")
    if (module.size > MAX_MODULE) return report("a module of more than 16 MiB can't be pushed", "bad")
    const done = await confirmed({
      title: `Push ${module.name}?`,
      consequence: `It serves in the place of version ${version.value} of ${name}, until that one's file changes or the gateway ends. It is tried out first.`,
      act: "Push",
      give: () =>
        order(`${path}/module?version=${encodeURIComponent(version.value)}`, { method: "PUT", body: module, type: "application/wasm" }),
    })
    if (done) refresh()
  }

  async function takeBack() {
    const done = await confirmed({
      title: `Take back what was pushed?`,
      consequence: `The module of the configuration serves again as version ${version.value} of ${name}.`,
      act: "Take back",
      give: () => order(`${path}/module?version=${encodeURIComponent(version.value)}`, { method: "DELETE" }),
    })
    if (done) refresh()
  }

  async function readLog() {
    if (logs.hidden || Date.now() - asked < 2000) return
    asked = Date.now()
    try {
      const answer = await ask(`${path}/logs`)
      const lines = answer?.logs ?? []
      say(log, lines.length === 0 ? "Nothing so far." : lines.slice(-LINES).map(logLine).join("\n"))
    } catch (error) {
      say(log, error instanceof Error ? error.message : String(error))
    }
  }

  return {
    element: h(
      "div",
      { class: "stack" },
      h("header", null, h("h2", null, name)),
      lastError,
      facts,
      versions.element,
      logs,
      h("h3", null, "Change it"),
      pushing,
    ),
    /** @param {FilterStatus} filter */
    update(filter) {
      const { lastError: error, refused } = filter
      say(
        lastError,
        refused !== null
          ? `The newest version of its files was refused; the one before serves: ${refused.message}`
          : error === null
            ? ""
            : `Last error${error.at === null ? "" : ` (${moment(error.at)})`}: ${error.message}`,
      )
      lastError.hidden = lastError.textContent === ""
      const text = [
        ["module", filter.module],
        ["instances", `${filter.instances}, ${octets(filter.memory)} in all`],
        [
          "limits",
          `${filter.limits.cpu} ms of CPU a call (it uses ${filter.budget.percent} % of that), ${octets(filter.limits.memory)} of memory`,
        ],
        ["when it fails", filter.onError === "deny" ? "deny: requests are answered with a 500" : "skip: requests pass without it"],
        [
          "since the start",
          `${whole(filter.exchanges)} exchanges, ${whole(filter.failures)} failed, ${whole(filter.errors)} ended with a 5xx; traps: ${trapText(filter)}`,
        ],
        ["time of a call", `p50 ${microseconds(filter.duration.p50 / 1000)}, p99 ${microseconds(filter.duration.p99 / 1000)}`],
      ]
      if (facts.childElementCount === 0) for (const [title] of text) facts.append(h("dt", null, title), h("dd"))
      const values = facts.querySelectorAll("dd")
      for (const [i, [, value]] of text.entries()) say(values[i], value)
      versions.update(filter.versions)
      const now = filter.versions.map((each) => each.name).join("\n")
      if (now !== names) {
        names = now
        fill(version, ...filter.versions.map((each) => h("option", { value: each.name }, each.name)))
      }
      back.disabled = !filter.versions.some(({ pushed }) => pushed)
      void readLog()
    },
  }
}

/** @param {{ at: string, level: string, message: string, fields: Readonly<Record<string, unknown>> }} line */
function logLine(line) {
  const { at, level, message, fields } = line
  const rest = Object.entries(fields)
  return `${clock(at)}  ${level.padEnd(8)}  ${message}${rest.map(([key, value]) => `  ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`).join("")}`
}

/** @param {FilterStatus} filter */
function stateText({ state, refused, versions }) {
  const back = versions.some(({ rolledBack }) => rolledBack !== null)
  const text = refused !== null ? `${state}, newest refused` : back ? `${state}, a version rolled back` : state
  return `${state === "running" && refused === null ? "✓" : "✕"} ${text}`
}

/** @param {FilterStatus} filter */
function trapsOf({ traps }) {
  return Object.values(traps).reduce((sum, count) => sum + count, 0)
}

/** @param {FilterStatus} filter */
function trapText({ traps }) {
  const parts = Object.entries(traps).map(([reason, count]) => `${whole(count)} ${reason}`)
  return parts.length === 0 ? "none" : parts.join(", ")
}

/** @param {FilterFigures | undefined} figures */
function wrapShare(figures) {
  const { element, update } = shareCell({ share: figures?.share ?? 0 })
  return { element, update: (/** @type {Row} */ row) => update({ share: row.figures?.share ?? 0 }) }
}

/** @param {FilterFigures | undefined} figures */
function wrapSpark(figures) {
  const { element, update } = sparkCell({ history: figures?.history ?? [] })
  return { element, update: (/** @type {Row} */ row) => update({ history: row.figures?.history ?? [] }) }
}
