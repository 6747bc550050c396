// @ts-check
// The configuration in force, without secrets; those before it, what changed between two of them, and the way back to one.

import { call, order } from "./api.js"
import { confirmed } from "./dialog.js"
import { fill, h, say } from "./dom.js"
import { moment } from "./format.js"
import { liveTable } from "./table.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */

/** @param {Context} context */
export function createConfig({ refresh }) {
  const yaml = h("pre", { tabindex: 0, "aria-label": "Configuration as YAML" })
  const yamlNote = h("span", { class: "note" })
  const from = h("select", { id: "from", change: showDiff })
  const to = h("select", { id: "to", change: showDiff })
  const diff = h("pre", { tabindex: 0, "aria-label": "Difference" })
  const back = h("button", { type: "button", class: "danger", click: rollBack }, "Roll back …")
  const historyTable = liveTable({
    caption: "Configurations that were in force",
    sortable: false,
    limit: 50,
    key: (/** @type {any} */ entry) => String(entry.generation ?? entry.id),
    none: "None but this one.",
    columns: [
      { title: "Generation", head: true, text: (entry) => String(entry.generation ?? entry.id) },
      { title: "When", look: "nowrap", text: (entry) => moment(entry.at) },
      { title: "Who", text: (entry) => String(entry.who ?? "") },
      {
        title: "What",
        text: (entry) => [entry.kind, entry.what, entry.why].filter((each) => typeof each === "string" && each !== "").join(": "),
      },
    ],
  })
  const changes = liveTable({
    caption: "Orders and changes",
    sortable: false,
    limit: 50,
    key: (/** @type {any} */ entry) => `${entry.at} ${entry.kind} ${entry.what}`,
    none: "Nothing was changed since the start.",
    columns: [
      { title: "When", look: "nowrap", text: (entry) => moment(entry.at) },
      { title: "Who", text: (entry) => String(entry.who ?? "") },
      { title: "Order", head: true, text: (entry) => String(entry.kind ?? "") },
      { title: "What", text: (entry) => String(entry.what ?? "") },
      {
        title: "Outcome",
        text: (entry) => (entry.refused === null || entry.refused === undefined ? "✓ done" : `✕ ${entry.refused}`),
        tone: (entry) => (entry.refused === null || entry.refused === undefined ? "good" : "bad"),
      },
    ],
  })
  const selectors = h(
    "div",
    { class: "fields" },
    h("label", { for: "from" }, "From", from),
    h("label", { for: "to" }, "To", to),
    h("div", { class: "actions" }, back),
  )
  const before = card("Before it", h("div", null, historyTable.element, selectors, diff))
  const orders = card("Orders", changes.element, "and other changes, newest first")
  const current = h("div", { class: "card" }, h("header", null, h("h2", null, "In force"), yamlNote), yaml)
  const element = h("section", { "aria-label": "Configuration" }, before, orders, current)
  let generation = -1
  let known = ""

  async function load() {
    const response = await call("/config?format=yaml").catch(() => null)
    if (response?.ok) say(yaml, await response.text())
    else generation = -1
  }

  async function showDiff() {
    if (from.value === "" || to.value === "" || from.value === to.value) return fill(diff, "Choose two of them to see what changed.")
    const response = await call(`/config/diff?from=${encodeURIComponent(from.value)}&to=${encodeURIComponent(to.value)}`).catch(() => null)
    const text = response?.ok ? await response.text() : "The difference can't be had."
    let unified = text
    try {
      const { diff: wrapped } = JSON.parse(text)
      if (typeof wrapped === "string") unified = wrapped
    } catch {
      // It is plain text.
    }
    const lines = unified.split("\n").slice(0, 2000)
    fill(diff, ...(unified.trim() === "" ? ["No difference."] : lines.map((line) => h("span", { class: lineLook(line) }, `${line}\n`))))
  }

  async function rollBack() {
    const target = from.value
    const give = () => order("/config/rollback", { body: JSON.stringify({ generation: Number(target) }), type: "application/json" })
    const consequence = `What was in force as generation ${target} comes into force again, as a new generation. The file stays as it is; its next change is taken as usual.`
    if (await confirmed({ title: `Roll back to generation ${target}?`, consequence, act: "Roll back", dangerous: true, give })) refresh()
  }

  /** @param {State} state */
  function update(state) {
    const now = state.ready?.generation ?? 0
    if (now !== generation) {
      generation = now
      void load()
    }
    say(yamlNote, `generation ${now}; secrets are left out`)
    const entries = listOf(state.configs)
    before.hidden = state.configs === null
    historyTable.update(entries)
    const ids = entries.map((entry) => String(entry.generation ?? entry.id))
    if (ids.join() !== known) {
      known = ids.join()
      const wanted = [from.value, to.value]
      for (const [i, select] of [from, to].entries()) {
        fill(select, ...ids.map((id) => h("option", { value: id }, id === String(now) ? `${id} (in force)` : id)))
        const fallback = i === 0 ? ids[1] : ids[0]
        select.value = ids.includes(wanted[i]) ? wanted[i] : (fallback ?? "")
      }
      void showDiff()
    }
    back.disabled = from.value === "" || from.value === String(now)
    orders.hidden = state.history === null
    changes.update(listOf(state.history))
  }
  return { element, update }
}

/**
 * Newest first.
 * @param {any} answer
 * @returns {any[]}
 */
function listOf(answer) {
  const list = Array.isArray(answer)
    ? answer
    : Array.isArray(answer?.history)
      ? answer.history
      : Array.isArray(answer?.generations)
        ? answer.generations
        : []
  return [...list].sort((a, b) => String(b.at ?? "").localeCompare(String(a.at ?? "")))
}

/** @param {string} line */
function lineLook(line) {
  if (line.startsWith("@@") || line.startsWith("---") || line.startsWith("+++")) return "place"
  return line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : ""
}
