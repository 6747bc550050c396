// @ts-check
// A table that is kept up to date in place: rows stay the elements they are, so that focus and selection survive a second, and stay
// where they are while somebody points at them. It shows so many rows and says how many more there are.

import { h, say, set } from "./dom.js"
import { byName } from "./format.js"

/** Characters of a text that is shown whole. */
const LONG = 60

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {string} [hint] what is meant, for those who ask
 * @property {boolean} [number] right-aligned
 * @property {boolean} [head] names the row
 * @property {string} [look] a class of its cells
 * @property {boolean} [minor] left out where there is little room
 * @property {(item: T) => string} [text]
 * @property {(item: T) => string} [tone] a class by the item
 * @property {(item: T) => number | string} [order] by which it can be sorted
 * @property {(item: T) => { element: Element, update?: (item: T) => void }} [make] instead of text: an element for the life of the row
 */

/**
 * @template T
 * @param {{ caption: string, columns: readonly Column<T>[], key: (item: T) => string, limit?: number, none?: string,
 *   more?: string, sort?: number, chosen?: (item: T) => void, sortable?: boolean }} options `sort`: column by which it is at first, falling
 */
export function liveTable({
  caption,
  columns,
  key,
  limit = 100,
  none = "Nothing here.",
  more = "Search to see others.",
  sort = -1,
  chosen,
  sortable = true,
}) {
  let by = sort
  let falling = true
  /** @type {readonly T[]} */
  let items = []
  let hidden = 0
  let picked = ""
  /** Names of the rows as they stand. */
  let standing = /** @type {string[]} */ ([])
  /** @type {Map<string, { row: HTMLTableRowElement, item: T, cells: { cell: HTMLTableCellElement, text: Element, made?: { element: Element, update?: (item: T) => void } }[] }>} */
  const rows = new Map()
  const body = h("tbody")
  const heads = columns.map((column, i) => {
    const { order } = column
    const label =
      order === undefined || !sortable ? column.title : h("button", { type: "button", class: "sort", click: () => sortBy(i) }, column.title)
    return h("th", { scope: "col", class: classes({ ...column, look: "" }), title: column.hint ?? null }, label)
  })
  const note = h("p", { class: "note" })
  const table = h("table", null, h("caption", { class: "hidden" }, caption), h("thead", null, h("tr", null, ...heads)), body)
  const element = h("div", { class: "tablebox" }, h("div", { class: "scroll" }, table), note)

  /** @param {number} i */
  function sortBy(i) {
    falling = by === i ? !falling : columns[i].head !== true
    by = i
    standing = []
    show()
  }

  /** @param {T} item */
  function create(item) {
    const cells = columns.map((column) => {
      const made = column.make?.(item)
      const pick = column.head === true && chosen !== undefined
      const text = pick ? h("button", { type: "button", class: "link", click: () => choose(key(entry.item)) }) : h("span")
      const cell = h(column.head === true ? "th" : "td", {
        scope: column.head === true ? "row" : null,
        class: classes(column),
        "data-title": column.title,
      })
      cell.append(made?.element ?? text)
      return { cell, text, made }
    })
    const row = h("tr", null, ...cells.map(({ cell }) => cell))
    const entry = { row, item, cells }
    return entry
  }

  /** @param {string} name */
  function choose(name) {
    picked = name
    const entry = rows.get(name)
    if (entry !== undefined) chosen?.(entry.item)
    mark()
  }

  function mark() {
    for (const [name, { row }] of rows) set(row, { "aria-current": name === picked ? "true" : null })
  }

  function show() {
    let list = [...items]
    const order = by < 0 ? undefined : columns[by].order
    if (order !== undefined) {
      const sign = falling ? -1 : 1
      list.sort((a, b) => {
        const x = order(a)
        const y = order(b)
        return sign * (typeof x === "string" && typeof y === "string" ? byName(x, y) : x < y ? -1 : x > y ? 1 : 0)
      })
      if (standing.length > 0 && body.matches(":hover, :focus-within")) {
        const places = new Map(standing.map((name, i) => [name, i]))
        const place = (/** @type {T} */ item) => places.get(key(item)) ?? standing.length
        list.sort((a, b) => place(a) - place(b))
      }
    }
    const over = list.length - limit
    if (over > 0) list = list.slice(0, limit)
    standing = list.map(key)
    const wanted = new Set(standing)
    for (const [name, { row }] of rows) {
      if (wanted.has(name)) continue
      row.remove()
      rows.delete(name)
    }
    let at = body.firstElementChild
    for (const item of list) {
      const name = key(item)
      let entry = rows.get(name)
      if (entry === undefined) {
        entry = create(item)
        rows.set(name, entry)
      }
      entry.item = item
      for (const [i, column] of columns.entries()) {
        const { cell, text, made } = entry.cells[i]
        if (made === undefined) sayShort(text, column.text?.(item) ?? "")
        else made.update?.(item)
        if (column.tone !== undefined) {
          const look = `${classes(column)} ${column.tone(item)}`.trim()
          if (cell.className !== look) cell.className = look
        }
      }
      // A row that moves loses the focus: it is moved only where it has to be.
      if (at === entry.row) at = at.nextElementSibling
      else body.insertBefore(entry.row, at)
    }
    for (const [i, head] of heads.entries()) set(head, { "aria-sort": i === by ? (falling ? "descending" : "ascending") : null })
    const left = Math.max(0, over) + hidden
    say(note, list.length === 0 ? none : left > 0 ? `${left.toLocaleString("en")} more. ${more}` : "")
    table.hidden = list.length === 0
    mark()
  }

  return {
    element,
    /**
     * @param {readonly T[] | null} next null: nothing is known yet
     * @param {number} [omitted] how many more there are that nobody has told of
     */
    update(next, omitted = 0) {
      if (next === null) return say(note, "Loading …")
      items = next
      hidden = omitted
      show()
    },
  }
}

/**
 * A text that is long is cut off by its look, and whole for who points at it.
 * @param {Element} element
 * @param {string} text
 */
function sayShort(element, text) {
  say(element, text)
  const long = text.length > LONG
  if (!long && !element.classList.contains("clip")) return
  element.classList.toggle("clip", long)
  set(element, { title: long ? text : null })
}

/**
 * @template T
 * @param {Column<T>} column
 */
function classes({ number, look, minor }) {
  return [number === true ? "number" : "", minor === true ? "minor" : "", look ?? ""].filter((each) => each !== "").join(" ")
}
