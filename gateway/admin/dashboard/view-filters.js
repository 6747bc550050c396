// @ts-check
// The filters: what each costs, how it is, which version serves; what it logs; and the orders it takes.

import { ask as look, order, part } from "./api.js"
import { report } from "./dialog.js"
import { fill, h, say } from "./dom.js"
import { clock, microseconds, moment, octets, rate, whole } from "./format.js"
import { confirmed, orderButton } from "./orders.js"
import { liveTable } from "./table.js"
import { card, facts, shareCell, sparkCell } from "./view-overview.js"

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

/** @param {Context} context */
export function createFilters({ refresh }) {
  const table = liveTable({
    caption: "Filters",
    key: (/** @type {Row} */ { filter }) => filter.name,
    none: "No filter is configured, or none has what is searched for in its name.",
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
  const element = h(
    "section",
    { "aria-label": "Filters" },
    card("Filters", table.element, "cost and share of the last seconds; choose one for its versions, its log and its orders"),
    details,
  )
  /** @type {State | null} */
  let known = null
  let chosen = ""
  /** @type {ReturnType<typeof filterDetails> | null} */
  let shown = null

  /** @param {string} name */
  function pick(name) {
    chosen = name
    shown = known === null ? null : filterDetails(name, refresh)
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
    if (state.filters === null) table.update(null)
    else table.update(filters.map((filter) => ({ filter, figures: costs.get(filter.name) })))
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
 * @param {() => void} refresh
 */
function filterDetails(name, refresh) {
  const path = `/filters/${part(name)}`
  const about = h("dl", { class: "facts" })
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
  const file = h("input", { type: "file", accept: ".wasm,application/wasm", id: "module", name: "module" })
  const version = h("select", { id: "version", name: "version", change: () => current !== null && allow(current) })
  const push = orderButton("Push", { look: "primary", press: pushModule })
  const takeBack = orderButton("Take back", {
    press: () =>
      ask({
        title: "Take back what was pushed?",
        consequence: `The module of the configuration serves again as version ${version.value} of ${name}.`,
        act: "Take back",
        give: () => order(`${path}/module?version=${encodeURIComponent(version.value)}`, { method: "DELETE" }),
      }),
  })
  const rollBack = orderButton("Roll back", {
    look: "danger",
    press: () =>
      ask({
        title: `Roll back ${name}?`,
        consequence: `The module that version ${version.value} had before serves from the next request on.`,
        act: "Roll back",
        dangerous: true,
        give: () => order(`${path}/rollback?version=${encodeURIComponent(version.value)}`),
      }),
  })
  const release = orderButton("Release", {
    press: () =>
      ask({
        title: `Release ${name}?`,
        consequence: "What was rolled back or quarantined takes part again.",
        act: "Release",
        give: () => order(`${path}/release`),
      }),
  })
  const quarantine = orderButton("Quarantine", {
    look: "danger",
    press: () =>
      ask({
        title: `Quarantine ${name}?`,
        consequence: `It is not run any more, in no version, until it changes or is released. ${
          current?.onError === "skip" ? "Requests pass without it." : "Requests that would pass it are answered with a 500."
        }`,
        act: "Quarantine",
        dangerous: true,
        give: () => order(`${path}/quarantine`),
      }),
  })
  const pushing = h(
    "div",
    { class: "fields" },
    h("label", { for: "module" }, "Module (.wasm)", file),
    h("label", { for: "version" }, "Version", version),
    h("div", { class: "actions wide" }, ...[push, takeBack, rollBack, release, quarantine].map(({ element }) => element)),
  )
  const log = h("pre", { tabindex: 0, "aria-label": `Log of ${name}` })
  const logs = h("div", null, h("h3", null, "What it logs"), log)
  const lastError = h("p", { class: "bad" })
  let names = ""
  let asked = 0
  /** @type {FilterStatus | null} */
  let current = null

  async function pushModule() {
    const module = file.files?.[0]
    if (module === undefined) return report("choose a module first, a .wasm file", "bad")
    if (module.size > MAX_MODULE) return report("a module of more than 16 MiB can't be pushed", "bad")
    await ask({
      title: `Push ${module.name}?`,
      consequence: `It serves in the place of version ${version.value} of ${name}, until that one's file changes or the gateway ends. It is tried out first.`,
      act: "Push",
      give: () =>
        order(`${path}/module?version=${encodeURIComponent(version.value)}`, { method: "PUT", body: module, type: "application/wasm" }),
    })
  }

  /** @param {import("./orders.js").Order} what */
  async function ask(what) {
    if (await confirmed(what)) refresh()
  }

  /**
   * What can be carried out as things are.
   * @param {FilterStatus} filter
   */
  function allow({ versions, held }) {
    const chosen = versions.find((each) => each.name === version.value)
    const out = held !== null || versions.some(({ rolledBack, state }) => rolledBack !== null || state === "quarantined")
    takeBack.allow(chosen?.pushed === true ? "" : `nothing was pushed in the place of version ${version.value} of ${name}`)
    rollBack.allow((chosen?.earlier.length ?? 0) > 0 ? "" : `version ${version.value} of ${name} has had no other module before`)
    release.allow(out ? "" : `${name} is not in quarantine, and no version of it is rolled back`)
    quarantine.allow(held === null ? "" : `${name} is in quarantine by order already`)
  }

  async function readLog() {
    if (Date.now() - asked < 2000) return
    asked = Date.now()
    try {
      const answer = await look(`${path}/logs`)
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
      about,
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
      facts(about, [
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
      ])
      versions.update(filter.versions)
      const now = filter.versions.map((each) => each.name).join("\n")
      if (now !== names) {
        names = now
        fill(version, ...filter.versions.map((each) => h("option", { value: each.name }, each.name)))
      }
      current = filter
      allow(filter)
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
