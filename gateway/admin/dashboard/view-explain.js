// @ts-check
// Asks the gateway what it would do with a request, without sending one: which listener, route, filters, service and endpoints, and why
// not another.

import { order } from "./api.js"
import { fill, h } from "./dom.js"
import { percent } from "./format.js"
import { tree } from "./tree.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */
/** @typedef {Record<string, any>} Outcome what becomes of the request at one listener, as `/explain` tells it */

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

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
  const headers = h("textarea", { id: "headers", name: "headers", placeholder: "x-api-key: demo", spellcheck: "false" })
  const answer = h("div", { class: "stack wide", "aria-live": "polite" })
  const form = h(
    "form",
    {
      submit: (/** @type {Event} */ event) => {
        event.preventDefault()
        void explain()
      },
    },
    h(
      "div",
      { class: "fields" },
      h("label", { for: "method" }, "Method", method),
      h("label", { for: "url", class: "wide" }, "URL, or a path alone", url),
      h("label", { for: "headers", class: "wide" }, "Headers, one a line", headers),
    ),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Explain")),
  )

  async function explain() {
    const fields = headers.value
      .split("\n")
      .map((line) => [line, line.indexOf(":")])
      .filter((/** @type {any} */ [, colon]) => colon > 0)
      .map((/** @type {any} */ [line, colon]) => [line.slice(0, colon).trim(), line.slice(colon + 1).trim()])
    try {
      const body = JSON.stringify({ method: method.value, url: url.value.trim(), headers: fields })
      const told = await order("/explain", { body, type: "application/json" })
      fill(answer, ...told.outcomes.map(outcomeCard), h("div", { class: "card" }, details("Listeners", told.listeners)))
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

/** @param {Outcome} outcome */
function outcomeCard(outcome) {
  const { listener, verdict, path, route, others, othersLeft, filters, action, service, notes } = outcome
  const way = [
    fact(
      "Path",
      path === null ? null : path.normal === null ? `${path.asked}: refused, ${path.why}` : [path.normal, ...path.changes].join("; "),
    ),
    fact("Route", route === null ? "none takes it" : `${route.name}: ${route.text}`),
    fact(
      "Filters",
      filters.length === 0
        ? "none"
        : list(
            filters.map(
              (/** @type {any} */ step) => `${step.name} (${step.kind})${step.state === "" ? "" : `, ${step.state}`}: ${step.text}`,
            ),
          ),
    ),
    fact("Then", actionText(action)),
    fact("Endpoints", service === null ? null : endpointList(service)),
    fact("To know", notes.length === 0 ? null : list(notes)),
  ]
  return h(
    "div",
    { class: "card stack" },
    h(
      "header",
      null,
      h("h2", null, `By listener ${listener}`),
      h(
        "span",
        { class: `pill ${verdict.ok ? "good" : "bad"}` },
        `${verdict.ok ? "✓" : "✕"} ${verdict.status ?? "forwarded"}${verdict.flag === "" ? "" : ` ${verdict.flag}`}`,
      ),
      h("span", { class: "note" }, verdict.text),
    ),
    h("dl", { class: "facts" }, ...way.flat()),
    others.length === 0
      ? null
      : h(
          "details",
          { open: route === null },
          h("summary", null, "Why not another route"),
          list(others.map((/** @type {any} */ miss) => `${miss.route}: ${miss.text}`)),
          othersLeft > 0 ? h("p", { class: "note" }, `${othersLeft} more routes`) : null,
        ),
    details("As it would be sent", outcome.sent),
    details("Everything that was found", outcome),
  )
}

/**
 * @param {string} title
 * @param {Node | string | null} value
 */
function fact(title, value) {
  return value === null ? [] : [h("dt", null, title), h("dd", null, value)]
}

/** @param {readonly string[]} items */
function list(items) {
  return h("ul", { class: "plain" }, ...items.map((item) => h("li", null, item)))
}

/**
 * @param {string} title
 * @param {unknown} value
 */
function details(title, value) {
  return value === null || value === undefined ? null : h("details", null, h("summary", null, title), tree(value))
}

/** @param {any} action */
function actionText(action) {
  if (action === null) return null
  if (action.kind === "redirect") return `redirected (${action.status}) to ${action.location}`
  if (action.kind === "respond") return `answered here: ${action.status}, ${action.bodyOctets} octets`
  const backends = action.backends.map(
    (/** @type {any} */ backend) =>
      `${backend.service} ${percent(backend.odds)}${backend.exists ? "" : " (doesn't exist)"}${backend.chosen ? " ← this one" : ""}`,
  )
  return `forwarded: ${backends.join(", ")}${action.why === "" ? "" : `; ${action.why}`}`
}

/** @param {any} service */
function endpointList({ name, policy, endpoints, left, order: attempts, failover }) {
  const lines = endpoints.map(
    (/** @type {any} */ { address, eligible, share, reasons }) =>
      `${eligible ? "✓" : "✕"} ${address}${share === null ? "" : `, about ${percent(share)} of such requests`}${reasons.length === 0 ? "" : `: ${reasons.join("; ")}`}`,
  )
  if (left > 0) lines.push(`${left} more`)
  if (attempts.length > 0) lines.push(`attempts in this order: ${attempts.join(", ")}`)
  if (failover !== null) lines.push(`when it has none: ${failover}`)
  return h("div", null, `${name}, by ${policy}`, list(lines))
}
