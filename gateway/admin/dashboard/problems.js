// @ts-check
// What is wrong, worst first, as sentences that say where to look. Pure: it is given what the gateway told.

/** @typedef {import("../status.ts").ReadyState} ReadyState */
/** @typedef {import("../status.ts").FilterStatus} FilterStatus */
/** @typedef {import("../service-status.ts").ServiceStatus} ServiceStatus */
/** @typedef {import("../../telemetry/live-summary.ts").Figures} Figures */
/** @typedef {{ level: "bad" | "fair", text: string, view: string, search?: string }} Problem */

/** A filter is told of from so much of the process's CPU on, when a call takes so many µs. */
const SHARE = 0.2
const COST = 100
/** A route is told of below so much success, from so many requests a second on. */
const SUCCESS = 0.98
const REQUESTS = 0.2
/** Problems of one kind that are told one by one. */
const EACH = 5

/**
 * @param {{ ready: ReadyState | null, filters: readonly FilterStatus[] | null, services: readonly ServiceStatus[] | null, figures: Figures | null }} known
 * @returns {Problem[]}
 */
export function problemsOf({ ready, filters, services, figures }) {
  /** @type {Problem[]} */
  const problems = []
  for (const reason of ready?.reasons ?? []) {
    const filter = ready?.filtersInTrouble.find((name) => reason.includes(name))
    const view = filter !== undefined ? "filters" : placeOf(reason)
    problems.push({
      level: ready?.ready === true ? "fair" : "bad",
      text: reason,
      view,
      ...(filter === undefined ? {} : { search: filter }),
    })
  }
  if (ready?.lastReload?.ok === false && ready.lastReload.error !== null)
    problems.push({ level: "bad", text: `The last configuration was refused: ${ready.lastReload.error}`, view: "config" })
  const troubled = (services ?? []).filter(({ taking, usable }) => usable < taking)
  for (const { name, taking, usable, endpoints } of troubled.slice(0, EACH)) {
    const out = endpoints.filter(({ healthy, ejected }) => healthy === false || ejected !== null).slice(0, 3)
    const which = out.map(({ address, ejected }) => `${address} ${ejected !== null ? `ejected (${ejected.reason})` : "unwell"}`).join(", ")
    problems.push({
      level: usable === 0 ? "bad" : "fair",
      text: `Service ${name}: ${usable} of ${taking} endpoints usable${which === "" ? "" : `: ${which}`}`,
      view: "services",
      search: name,
    })
  }
  if (troubled.length > EACH)
    problems.push({ level: "fair", text: `${troubled.length - EACH} more services lack endpoints`, view: "services" })
  const failing = (figures?.routes ?? []).filter(({ requests, success }) => success !== null && success < SUCCESS && requests >= REQUESTS)
  for (const { name, success } of failing.slice(0, EACH)) {
    problems.push({
      level: "fair",
      text: `Route ${named(name)}: ${((success ?? 0) * 100).toFixed(1)} % of its requests succeed`,
      view: "routes",
      search: name,
    })
  }
  for (const { name, share, cost } of figures?.filters ?? []) {
    if (share < SHARE || cost === null || cost.mean < COST) continue
    problems.push({
      level: "fair",
      text: `Filter ${name} takes ${Math.round(share * 100)} % of the gateway's CPU: ${(cost.mean / 1000).toFixed(2)} ms a call`,
      view: "filters",
      search: name,
    })
  }
  for (const { name, lastError, state, versions } of filters ?? []) {
    if (state === "running" || lastError === null || versions.length === 0) continue
    const told = problems.find(({ view, search }) => view === "filters" && search === name)
    // What is wrong with it has been said: this is why.
    if (told !== undefined) told.text += `. It says: ${lastError.message}`
    else problems.push({ level: "bad", text: `Filter ${name} says: ${lastError.message}`, view: "filters", search: name })
  }
  return problems.sort((a, b) => Number(b.level === "bad") - Number(a.level === "bad"))
}

/** @param {string} reason */
function placeOf(reason) {
  if (/^the (?:last )?configuration /.test(reason)) return "config"
  if (reason.startsWith("endpoint ")) return "services"
  return /^(?:the canary|the weights|route) /.test(reason) ? "routes" : "overview"
}

/**
 * Where there is none, "-" is written.
 * @param {string} name
 */
export function named(name) {
  return name === "-" ? "(none matched)" : name
}
