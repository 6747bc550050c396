// @ts-check
// Small charts of the last minute, drawn as SVG: a line a series, the newest second at the right.

import { h, say, svg } from "./dom.js"

const WIDTH = 300
const HEIGHT = 64
/** Seconds from left to right. */
const SPAN = 60

/**
 * A round number that is not less.
 * @param {number} value
 */
function ceiling(value) {
  if (!(value > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  for (const step of [1, 1.5, 2, 3, 5, 7.5, 10]) if (value <= step * power) return step * power
  return value
}

/**
 * Points of a line; gaps where nothing is known.
 * @param {readonly (number | null)[]} values
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @param {boolean} area
 */
function path(values, top, width, height, area) {
  let out = ""
  let start = -1
  const x = (/** @type {number} */ i) => (width - ((values.length - 1 - i) * width) / (SPAN - 1)).toFixed(1)
  const y = (/** @type {number} */ v) => (height - 1 - (Math.min(v, top) / top) * (height - 3)).toFixed(1)
  for (let i = 0; i <= values.length; i++) {
    const value = i < values.length ? values[i] : null
    if (value !== null) {
      out += `${start < 0 ? "M" : "L"}${x(i)} ${y(value)}`
      // A second by itself is a dot.
      if (start < 0) {
        start = i
        out += "h0.1"
      }
    } else if (start >= 0) {
      if (area) out += `L${x(i - 1)} ${height}L${x(start)} ${height}Z`
      start = -1
    }
  }
  return out
}

/**
 * @param {{ title: string, series: readonly { name: string, look: string, area?: boolean }[], format: (value: number) => string, top?: number }} options
 *   `top`: of the scale, where that is the best there is; the worst is told then, else the most
 */
export function chart({ title, series, format, top }) {
  const lines = series.map(({ look, area }) => ({
    fill: area ? svg("path", { class: `area ${look}` }) : null,
    line: svg("path", { class: `line ${look}`, "vector-effect": "non-scaling-stroke" }),
  }))
  const grid = [0.02, 0.5, 0.98].map((at) =>
    svg("path", { class: "grid", d: `M0 ${HEIGHT * at}H${WIDTH}`, "vector-effect": "non-scaling-stroke" }),
  )
  const cursor = svg("path", { class: "cursor", "vector-effect": "non-scaling-stroke" })
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    ...grid,
    ...lines.flatMap(({ fill, line }) => [fill, line]),
    cursor,
  )
  const most = h("span", { class: "most" })
  const names = h(
    "span",
    { class: "legend" },
    ...series.map(({ name, look }) =>
      h(
        "span",
        null,
        svg("svg", { class: "key", viewBox: "0 0 16 4", "aria-hidden": "true" }, svg("path", { class: `line ${look}`, d: "M1 2H15" })),
        name,
      ),
    ),
  )
  const told = h("span", { hidden: true })
  /** @type {readonly (readonly (number | null)[])[]} */
  let shown = []
  let at = -1

  const tell = () => {
    const length = shown[0]?.length ?? 0
    const index = at < 0 ? length - 1 : length - (SPAN - at)
    const parts = series.map(
      ({ name }, i) =>
        `${name} ${shown[i]?.[index] === null || shown[i]?.[index] === undefined ? "–" : format(/** @type {number} */ (shown[i][index]))}`,
    )
    names.hidden = at >= 0
    told.hidden = at < 0
    say(told, at < 0 ? "" : `${SPAN - 1 - at} s ago: ${parts.join(" · ")}`)
    cursor.setAttribute("d", at < 0 ? "" : `M${((at * WIDTH) / (SPAN - 1)).toFixed(1)} 0V${HEIGHT}`)
  }
  drawing.addEventListener("pointermove", (event) => {
    const { left, width } = drawing.getBoundingClientRect()
    at = Math.max(0, Math.min(SPAN - 1, Math.round(((event.clientX - left) / width) * (SPAN - 1))))
    tell()
  })
  drawing.addEventListener("pointerleave", () => {
    at = -1
    tell()
  })

  return {
    element: h("figure", { class: "chart" }, drawing, h("figcaption", null, names, told, most)),
    /** @param {...readonly (number | null)[]} values one list a series, oldest first */
    update(...values) {
      shown = values
      const highest = values.flat().reduce((/** @type {number} */ max, value) => (value !== null && value > max ? value : max), 0)
      const limit = top ?? ceiling(highest)
      for (const [i, { fill, line }] of lines.entries()) {
        fill?.setAttribute("d", path(values[i], limit, WIDTH, HEIGHT, true))
        // A second thing that never happened needs no line.
        const idle = i > 0 && values[i].every((value) => value === 0 || value === null)
        line.setAttribute("d", idle ? "" : path(values[i], limit, WIDTH, HEIGHT, false))
      }
      const known = values.flat().filter((value) => value !== null)
      const extreme = top === undefined ? highest : known.reduce((/** @type {number} */ min, value) => (value < min ? value : min), top)
      say(most, known.length === 0 ? "" : `${top === undefined ? "max" : "min"} ${format(extreme)}`)
      const about = `${top === undefined ? "highest" : "lowest"} ${known.length === 0 ? "unknown" : format(extreme)}`
      drawing.setAttribute("aria-label", `${title}, last ${values[0].length} seconds, ${about}`)
      tell()
    },
  }
}

/** A line without words, for a row of a table. */
export function sparkline() {
  const line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" })
  const area = svg("path", { class: "area" })
  return {
    element: svg("svg", { class: "spark", viewBox: "0 0 80 20", preserveAspectRatio: "none", "aria-hidden": "true" }, area, line),
    /** @param {readonly number[]} values */
    update(values) {
      const top = Math.max(...values, 0.001)
      line.setAttribute("d", path(values, top, 80, 20, false))
      area.setAttribute("d", path(values, top, 80, 20, true))
    },
  }
}

/**
 * A share (0–1) as a bar beside its figure.
 * @param {string} look
 */
export function bar(look) {
  const inner = svg("rect", { class: look, height: 6, width: 0, rx: 3 })
  return {
    element: svg(
      "svg",
      { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "rest", height: 6, width: 100, rx: 3 }),
      inner,
    ),
    /** @param {number} share */
    update(share) {
      inner.setAttribute("width", String(Math.max(0, Math.min(100, share * 100))))
    },
  }
}
