// @ts-check
// Asks the gateway what it would do with a request, without sending one, and shows what it says in the words that `sluice explain` has.

import { ask, order } from "./api.js"
import { fill, h } from "./dom.js"
import { tree } from "./tree.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {import("../../explain/outcome-lines.ts").OutcomeLine} OutcomeLine */
/** @typedef {import("../../explain/explanation.ts").Outcome & { lines: readonly OutcomeLine[] }} Outcome what becomes of the request at one listener */
/** @typedef {import("../../telemetry/flag-guide.ts").FlagRow} FlagRow */

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
/** Routes not taken that are told of at first, and at most. */
const OTHERS = 10
const MAX_OTHERS = 100

/** @param {Context} _context */
export function createExplain(_context) {
  const method = h("select", { id: "method", name: "method" }, ...METHODS.map((each) => h("option", { value: each }, each)))
  const url = h("input", {
    id: "url",
    name: "url",
    required: true,
    placeholder: "http://shop.example.com/orders/7",
    autocomplete: "off",
    spellcheck: "false",
  })
  const headers = h("textarea", { id: "headers", name: "headers", placeholder: "x-api-key: demo", spellcheck: "false", rows: 2 })
  const answer = h("div", { class: "stack wide", "aria-live": "polite" })
  const form = h(
    "form",
    {
      submit: (/** @type {Event} */ event) => {
        event.preventDefault()
        void explain(OTHERS)
      },
    },
    h(
      "div",
      { class: "fields request" },
      h("label", { for: "method" }, "Method", method),
      h("label", { for: "url" }, "URL, or a path alone", url),
      h("label", { for: "headers", class: "wide" }, "Headers, one a line", headers),
    ),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Explain")),
  )

  /** @param {number} others */
  async function explain(others) {
    const fields = headers.value
      .split("\n")
      .map((line) => [line, line.indexOf(":")])
      .filter((/** @type {any} */ [, colon]) => colon > 0)
      .map((/** @type {any} */ [line, colon]) => [line.slice(0, colon).trim(), line.slice(colon + 1).trim()])
    try {
      const body = JSON.stringify({ method: method.value, url: url.value.trim(), headers: fields, others })
      const told = await order("/explain", { body, type: "application/json" })
      /** @type {readonly Outcome[]} */
      const outcomes = told.outcomes
      const guides = await Promise.all(outcomes.map(({ verdict }) => guideOf(verdict.code)))
      const more = others < MAX_OTHERS ? () => void explain(MAX_OTHERS) : null
      const none = outcomes.length === 0 ? [h("div", { class: "card" }, h("p", { class: "bad" }, told.verdict.text))] : []
      fill(answer, ...none, ...outcomes.map((outcome, i) => outcomeCard(outcome, guides[i], more)))
    } catch (error) {
      fill(answer, h("div", { class: "card" }, h("p", { class: "bad" }, error instanceof Error ? error.message : String(error))))
    }
  }

  return {
    element: h("section", { "aria-label": "Explain" }, card("What would become of a request", form, "nothing is sent"), answer),
    /** @param {State} _state */
    update(_state) {},
  }
}

/**
 * What to do about a failure.
 * @param {string} code row of the table of errors
 * @returns {Promise<FlagRow | null>}
 */
async function guideOf(code) {
  if (code === "") return null
  const answer = await ask(`/flags?flag=${encodeURIComponent(code)}`).catch(() => null)
  return answer?.flags.find((/** @type {FlagRow} */ row) => row.code === code) ?? null
}

/**
 * @param {Outcome} outcome
 * @param {FlagRow | null} guide
 * @param {(() => void) | null} more tells of more routes that aren't taken
 */
function outcomeCard(outcome, guide, more) {
  const { lines, ...found } = outcome
  const { listener, verdict, othersLeft } = outcome
  const { ok, status, flag, text } = verdict
  const left =
    othersLeft === 0
      ? null
      : h(
          "div",
          { class: "soft" },
          `and ${othersLeft} more `,
          more === null ? null : h("button", { type: "button", class: "link", click: more }, "show"),
        )
  return h(
    "div",
    { class: "card stack" },
    h(
      "header",
      null,
      h("h2", null, `At listener ${listener}`),
      h("span", { class: `pill ${ok ? "good" : "bad"}` }, `${ok ? "✓" : "✕"} ${status ?? "forwarded"}${flag === "" ? "" : ` ${flag}`}`),
    ),
    h("p", { class: ok ? "verdict" : "verdict bad" }, text),
    h(
      "dl",
      { class: "facts" },
      ...lines.flatMap((line) => [h("dt", null, line.label), h("dd", null, rowsOf(line), line.label === "not" ? left : null)]),
      ...(guide === null
        ? []
        : [
            ...fact("causes", h("ul", { class: "plain" }, ...guide.causes.map((cause) => h("li", null, cause)))),
            ...fact("look at", guide.look),
            ...fact("do", guide.act),
          ]),
    ),
    h("details", null, h("summary", null, "Everything that was found"), tree(found)),
  )
}

/**
 * @param {string} title
 * @param {Node | string} value
 */
function fact(title, value) {
  return [h("dt", null, title), h("dd", null, value)]
}

/** @param {OutcomeLine} line */
function rowsOf({ label, rows }) {
  const look = label === "sent" ? "lines mono" : "lines"
  return h(
    "div",
    { class: look },
    ...rows.map((cells) =>
      cells.length === 1
        ? h("div", { class: "whole" }, cells[0])
        : h("div", { class: "row" }, h("b", null, cells[0]), h("span", null, cells.slice(1).join("  "))),
    ),
  )
}
