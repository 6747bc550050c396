// @ts-check
// The configuration in force, without secrets; those before it, what changed between two of them, and the way back to one.

import { call, order } from "./api.js"
import { fill, h, say } from "./dom.js"
import { moment } from "./format.js"
import { confirmed, orderButton } from "./orders.js"
import { liveTable } from "./table.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {{ generation: number, at: string, who: string, why: string, inForce: boolean }} Configuration */
/** @typedef {import("../change-history.ts").Change} Change */

/** @param {Context} context */
export function createConfig({ refresh }) {
  const yaml = h("pre", { tabindex: 0, "aria-label": "Configuration as YAML" })
  const yamlNote = h("span", { class: "note" })
  const from = h("select", { id: "from", change: choose })
  const to = h("select", { id: "to", change: choose })
  const diff = h("pre", { tabindex: 0, "aria-label": "Difference" })
  const back = orderButton("Roll back …", { look: "danger", press: rollBack })
  const historyTable = liveTable({
    caption: "Configurations that were in force",
    sortable: false,
    limit: 50,
    key: (/** @type {Configuration} */ { generation }) => String(generation),
    none: "None.",
    columns: [
      { title: "Generation", head: true, text: ({ generation, inForce }) => (inForce ? `${generation} (in force)` : String(generation)) },
      { title: "When", look: "nowrap", text: ({ at }) => moment(at) },
      { title: "Who", minor: true, text: ({ who }) => who },
      { title: "Why", text: ({ why }) => why },
    ],
  })
  const changes = liveTable({
    caption: "Orders and changes",
    sortable: false,
    limit: 50,
    key: (/** @type {Change} */ entry) => `${entry.at} ${entry.kind} ${entry.what} ${entry.who}`,
    none: "Nothing was changed since the start.",
    columns: [
      { title: "When", look: "nowrap", minor: true, text: ({ at }) => moment(at) },
      { title: "Who", minor: true, text: ({ who }) => who },
      { title: "Order", head: true, look: "nowrap", text: ({ kind }) => kind },
      { title: "What", text: ({ what }) => what },
      {
        title: "Outcome",
        text: ({ refused, times }) => (refused === null ? "✓ done" : `✕ ${refused}${times > 1 ? ` (${times} times)` : ""}`),
        tone: ({ refused }) => (refused === null ? "good" : "bad"),
      },
    ],
  })
  const selectors = h(
    "div",
    { class: "fields" },
    h("label", { for: "from" }, "From", from),
    h("label", { for: "to" }, "To", to),
    h("div", { class: "actions" }, back.element),
  )
  const before = card("Configurations", h("div", null, historyTable.element, selectors, diff), "that were in force, newest first")
  const orders = card("Orders", changes.element, "and other changes, newest first")
  const current = h("div", { class: "card" }, h("header", null, h("h2", null, "In force"), yamlNote), yaml)
  const element = h("section", { "aria-label": "Configuration" }, before, orders, current)
  /** Generation of the configuration whose text is shown or asked for; "" = none. */
  let loaded = ""
  let known = ""
  /** Generation of the configuration in force, as an option. */
  let serving = ""
  /** Whether somebody has chosen what to compare; until then it is the newest with the one before. */
  let chosen = false
  /** What is compared. */
  let asked = ""

  function allowBack() {
    back.allow(
      from.value === "" ? "there is no other configuration" : from.value === serving ? `generation ${serving} is the one in force` : "",
    )
  }

  function choose() {
    chosen = true
    allowBack()
    void showDiff()
  }

  async function load() {
    const wanted = loaded
    const response = await call("/config?format=yaml").catch(() => null)
    const text = response?.ok ? await response.text().catch(() => null) : null
    // Another one has come into force meanwhile, and is asked for.
    if (wanted !== loaded) return
    if (text === null) loaded = ""
    else say(yaml, text)
  }

  async function showDiff() {
    asked = ""
    if (from.value === "" || to.value === "" || from.value === to.value) return fill(diff, "Choose two of them to see what changed.")
    const wanted = `from=${encodeURIComponent(from.value)}&to=${encodeURIComponent(to.value)}`
    asked = wanted
    const response = await call(`/config/diff?${wanted}`).catch(() => null)
    const answer = response?.ok ? await response.json().catch(() => null) : null
    // Another one was chosen meanwhile.
    if (wanted !== asked) return
    /** @type {string} */
    const text = answer === null ? "The difference can't be had." : answer.diff
    const lines = text.split("\n").slice(0, 2000)
    fill(diff, ...(text === "" ? ["No difference."] : lines.map((line) => h("span", { class: lineLook(line) }, `${line}\n`))))
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
    say(yamlNote, `generation ${now}; secrets are left out`)
    /** @type {readonly Configuration[]} */
    const entries = state.configs?.history ?? []
    selectors.hidden = diff.hidden = entries.length < 2
    historyTable.update(state.configs === null ? null : entries)
    const ids = entries.map(({ generation }) => String(generation))
    // Not the generation in force: that also counts changes of filters and weights, which leave the configuration as it is.
    serving = String(entries.find(({ inForce }) => inForce)?.generation ?? "")
    // Its own generation: while filters, weights and endpoints change, its text stays, and making it takes the gateway time.
    if (serving !== "" && serving !== loaded) {
      loaded = serving
      void load()
    }
    const shown = `${ids.join()} ${serving}`
    if (shown !== known) {
      known = shown
      const wanted = [from.value, to.value]
      for (const [i, select] of [from, to].entries()) {
        fill(select, ...ids.map((id) => h("option", { value: id }, id === serving ? `${id} (in force)` : id)))
        const fallback = i === 0 ? ids[1] : ids[0]
        select.value = chosen && ids.includes(wanted[i]) ? wanted[i] : (fallback ?? "")
      }
      void showDiff()
    }
    allowBack()
    changes.update(state.history?.history ?? null)
  }
  return { element, update }
}

/** @param {string} line */
function lineLook(line) {
  if (line.startsWith("@@") || line.startsWith("---") || line.startsWith("+++")) return "place"
  return line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : ""
}
