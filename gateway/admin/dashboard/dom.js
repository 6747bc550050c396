// @ts-check
// Builds the page's elements. What comes from the gateway becomes text nodes and attributes here and nowhere else: no markup is
// ever made of it.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Readonly<Record<string, string | number | boolean | null | undefined | ((event: any) => void)>>} Attributes */

/** Attributes a caller may set: names are ours, never data. */
const LINK = "href"
/** Controls, and signs that turn the direction of what stands around them: as in a terminal, nothing may look like what it isn't. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu

/** @param {string} text */
function printable(text) {
  return text.replace(UNPRINTABLE, (sign) => (sign === "\n" || sign === "\t" ? sign : "\ufffd"))
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes | null} [attributes] functions are listeners, named for their event; true is an empty attribute; false and null are none
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag)
  set(element, attributes ?? {})
  append(element, children)
  return element
}

/**
 * The same for SVG.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
  set(element, attributes ?? {})
  append(element, children)
  return element
}

/**
 * @param {Element} element
 * @param {Attributes} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name)
    else if (typeof value === "function") element.addEventListener(name, value)
    else if (name === LINK && !/^[#/]/.test(String(value))) throw new TypeError("links stay on this page")
    else element.setAttribute(name, value === true ? "" : printable(String(value)))
  }
}

/**
 * @param {Element} element
 * @param {readonly Child[]} children
 */
function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue
    element.append(typeof child === "object" ? child : printable(String(child)))
  }
}

/**
 * Changes a text only where it is another, so that selections and screen readers are left in peace.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  const shown = printable(text)
  if (element.textContent !== shown) element.textContent = shown
}

/**
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren()
  append(element, children)
}

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  return /** @type {any} */ (document.getElementById(id))
}
