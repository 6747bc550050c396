// @ts-check
// Asks the gateway what it would do with a request, without sending one: which listener, route, filters, service and endpoints, and why
// not another.

import { order } from "./api.js"
import { fill, h } from "./dom.js"
import { tree } from "./tree.js"
import { card } from "./view-overview.js"

/** @typedef {import("./app.js").State} State */
/** @typedef {import("./app.js").Context} Context */

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
  const headers = h("textarea", { id: "headers", name: "headers", placeholder: "x-api-key: demo\ncookie: a=b", spellcheck: "false" })
  const answer = h("div", { "aria-live": "polite" })
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
      h("label", { for: "url", class: "wide" }, "URL, or a path", url),
      h("label", { for: "headers", class: "wide" }, "Headers, one a line", headers),
    ),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Explain")),
  )

  async function explain() {
    /** @type {Record<string, string>} */
    const fields = {}
    for (const line of headers.value.split("\n")) {
      const colon = line.indexOf(":")
      if (colon > 0) fields[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
    }
    try {
      const told = await order("/explain", {
        body: JSON.stringify({ method: method.value, url: url.value.trim(), headers: fields }),
        type: "application/json",
      })
      fill(answer, tree(told))
    } catch (error) {
      fill(answer, h("p", { class: "bad" }, error instanceof Error ? error.message : String(error)))
    }
  }

  return {
    element: h(
      "section",
      { "aria-label": "Explain" },
      card("What would become of a request", form, "nothing is sent"),
      card("Answer", answer),
    ),
    /** @param {State} _state */
    update(_state) {},
  }
}
