// @ts-check
// Shows an answer of any shape as a list within lists, bounded in depth and length.

import { h } from "./dom.js"

const DEPTH = 8
const ITEMS = 200

/**
 * @param {unknown} value
 * @param {number} [depth]
 * @returns {Node | string}
 */
export function tree(value, depth = 0) {
  if (value === null || value === undefined || value === "") return h("span", { class: "soft" }, "–")
  if (typeof value !== "object") return typeof value === "boolean" ? (value ? "yes" : "no") : String(value)
  if (depth >= DEPTH) return "…"
  if (Array.isArray(value)) {
    if (value.length === 0) return h("span", { class: "soft" }, "none")
    if (value.every((each) => typeof each !== "object" || each === null)) return value.slice(0, ITEMS).map(String).join(", ")
    return h("ul", null, ...value.slice(0, ITEMS).map((each, i) => item(titleOf(each) ?? `${i + 1}.`, each, depth)), rest(value.length))
  }
  const entries = Object.entries(value)
  return h(
    "ul",
    { class: depth === 0 ? "tree" : null },
    ...entries.slice(0, ITEMS).map(([name, each]) => item(name, each, depth)),
    rest(entries.length),
  )
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {number} depth
 */
function item(name, value, depth) {
  return h("li", null, h("span", { class: "name" }, words(name)), tree(value, depth + 1))
}

/** @param {number} length */
function rest(length) {
  return length > ITEMS ? h("li", { class: "soft" }, `${length - ITEMS} more`) : null
}

/**
 * `upstreamHost` as words; what isn't ours stays as it is.
 * @param {string} name
 */
function words(name) {
  return /^[a-z]+([A-Z][a-z]+)+$/.test(name) ? name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`) : name
}

/** @param {any} value */
function titleOf(value) {
  const name = value?.name ?? value?.route ?? value?.filter ?? value?.endpoint ?? value?.address
  return typeof name === "string" ? name : null
}
