// @ts-check
// Numbers as people read them: three digits that matter, a unit, and a dash where there is nothing.

export const NOTHING = "–"
const NAMES = new Intl.Collator("en", { numeric: true })

/**
 * Names as people sort them: 2 before 10.
 * @param {string} a
 * @param {string} b
 */
export function byName(a, b) {
  return NAMES.compare(a, b)
}

/** @param {number} value */
function digits(value) {
  if (value >= 100 || value === 0) return Math.round(value).toLocaleString("en")
  return value >= 10
    ? value.toFixed(1)
    : value
        .toFixed(value >= 1 ? 2 : 3)
        .replace(/(\.\d*?)0+$/, "$1")
        .replace(/\.$/, "")
}

/** @param {number} perSecond */
export function rate(perSecond) {
  if (perSecond === 0) return "0"
  if (perSecond < 0.01) return "<0.01"
  return perSecond >= 100_000
    ? `${(perSecond / 1000).toFixed(0)}k`
    : perSecond >= 10_000
      ? `${(perSecond / 1000).toFixed(1)}k`
      : digits(perSecond)
}

/**
 * A share (0–1). Never 100 % where something is missing, nor 0 % where something is there.
 * @param {number | null | undefined} share
 */
export function percent(share) {
  if (share === null || share === undefined) return NOTHING
  const value = share * 100
  if (value === 100 || value === 0) return `${value}%`
  if (value > 99.99) return ">99.99%"
  if (value < 0.01) return "<0.01%"
  return `${value >= 99 ? value.toFixed(2) : value >= 10 ? value.toFixed(1) : value.toFixed(2)}%`
}

/** @param {number | null | undefined} ms */
export function milliseconds(ms) {
  if (ms === null || ms === undefined) return NOTHING
  if (ms < 1) return `${Math.round(ms * 1000)} µs`
  if (ms < 1000) return `${ms >= 100 ? Math.round(ms) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
}

/** @param {number | null | undefined} us */
export function microseconds(us) {
  if (us === null || us === undefined) return NOTHING
  return us < 1000 ? `${us < 10 ? us.toFixed(1) : Math.round(us)} µs` : milliseconds(us / 1000)
}

/** @param {number} octets */
export function octets(octets) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"]
  let value = octets
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(value) : digits(value)} ${units[unit]}`
}

/** @param {number} count */
export function whole(count) {
  return Math.round(count).toLocaleString("en")
}

/** @param {string | null | undefined} iso */
export function clock(iso) {
  const at = new Date(iso ?? Number.NaN)
  return Number.isNaN(at.getTime()) ? NOTHING : at.toLocaleTimeString("en-GB")
}

/** @param {string | null | undefined} iso */
export function moment(iso) {
  const at = new Date(iso ?? Number.NaN)
  return Number.isNaN(at.getTime()) ? NOTHING : `${at.toLocaleDateString("sv")} ${at.toLocaleTimeString("en-GB")}`
}

/**
 * How well it goes, for a colour that never comes without its figure.
 * @param {number | null | undefined} success
 */
export function health(success) {
  if (success === null || success === undefined) return "idle"
  return success >= 0.999 ? "good" : success >= 0.98 ? "fair" : "bad"
}
