// @ts-check
// The page: asks the gateway once a second while somebody looks, and shows one view at a time.

import { ask, askAgain, onTokenWanted, Refused } from "./api.js"
import { askForToken } from "./dialog.js"
import { byId, fill, h, say, set } from "./dom.js"
import { ordersAway } from "./orders.js"
import { problemsOf } from "./problems.js"
import { createConfig } from "./view-config.js"
import { createExplain } from "./view-explain.js"
import { createFilters } from "./view-filters.js"
import { createGraph } from "./view-graph.js"
import { createOverview } from "./view-overview.js"
import { createRoutes } from "./view-routes.js"
import { createServices } from "./view-services.js"
import { createTap } from "./view-tap.js"

/**
 * What is known of the gateway; null where it isn't, or isn't offered.
 * @typedef {object} State
 * @property {import("../../telemetry/live-summary.ts").Figures | null} figures
 * @property {import("../status.ts").ReadyState | null} ready
 * @property {readonly import("../status.ts").FilterStatus[] | null} filters
 * @property {readonly import("../service-status.ts").ServiceStatus[] | null} services
 * @property {readonly import("../../canary/canary-changes.ts").CanaryStatus[] | null} canaries
 * @property {ReadonlyMap<string, readonly import("./view-routes.js").Match[]> | null} routes matches by the route's name
 * @property {any} configs
 * @property {any} history
 * @property {string} search
 * @property {string} handed what another view handed on
 */

/**
 * @typedef {object} Context
 * @property {(view: string, search: string) => void} open
 * @property {(text: string) => void} setSearch
 * @property {() => void} refresh asks for everything at once
 */

/** @typedef {{ element: HTMLElement, update: (state: State) => void, leave?: () => void }} View */

/** ms from one look to the next; the seconds that figures are of; rows that are asked for. */
const INTERVAL = 1000
const SECONDS = 10
const LIMIT = 100
const MOST = 1000
/** ms that what a view doesn't show, but the count of problems goes by, is good for. */
const SELDOM = 10_000
/** ms to wait after the gateway didn't answer, the first time and at most. */
const BACKOFF = 1000
const MAX_BACKOFF = 15_000

/** Views, and what each needs beside the figures. */
const VIEWS = [
  { id: "overview", title: "Overview", create: createOverview, needs: ["filters", "services"] },
  { id: "routes", title: "Routes", create: createRoutes, needs: ["routes", "canaries"] },
  { id: "services", title: "Services", create: createServices, needs: ["services"] },
  { id: "graph", title: "Graph", create: createGraph, needs: [] },
  { id: "filters", title: "Filters", create: createFilters, needs: ["filters"] },
  { id: "tap", title: "Tap", create: createTap, needs: [] },
  { id: "config", title: "Config", create: createConfig, needs: ["configs", "history"] },
  { id: "explain", title: "Explain", create: createExplain, needs: [] },
]

/** Where each comes from, how many ms it is good for, and whether problems are found in it whatever is shown. */
const SOURCES = {
  filters: { path: "/filters", good: 2000, always: true, take: (/** @type {any} */ { filters }) => filters },
  services: { path: "/services", good: 2000, always: true, take: (/** @type {any} */ { services }) => services },
  canaries: { path: "/canaries", good: 2000, always: false, take: (/** @type {any} */ { canaries }) => canaries },
  routes: { path: "/routes", good: 10_000, always: false, take: routesByName },
  configs: { path: "/config/history", good: 5000, always: false, take: (/** @type {any} */ answer) => answer },
  history: { path: "/history", good: 3000, always: false, take: (/** @type {any} */ answer) => answer },
}

/**
 * A route may have several matches, each a line of the answer.
 * @param {{ routes: readonly import("./view-routes.js").Match[] }} answer
 */
function routesByName({ routes }) {
  /** @type {Map<string, import("./view-routes.js").Match[]>} */
  const byName = new Map()
  for (const match of routes) {
    const known = byName.get(match.route)
    if (known === undefined) byName.set(match.route, [match])
    else known.push(match)
  }
  return byName
}

/** @type {State} */
const state = {
  figures: null,
  ready: null,
  filters: null,
  services: null,
  canaries: null,
  routes: null,
  configs: null,
  history: null,
  search: "",
  handed: "",
}

/** @type {Map<string, number>} */
const asked = new Map()
/** @type {Map<string, View>} */
const views = new Map()
let current = ""
let failures = 0
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer
let looking = false
/** Somebody wanted to look while it was looking. */
let again = false
const bannerText = h("span")
// Read out once, and not at every try.
const bannerNext = h("span", { "aria-live": "off" })
const searchField = /** @type {HTMLInputElement} */ (byId("search"))

/** @type {Context} */
const context = {
  open: (view, search) => {
    if (view === "tap") state.handed = search
    else setSearch(search)
    location.hash = view
  },
  setSearch,
  refresh: () => {
    asked.clear()
    void look()
  },
}

// ---------------------------------------------------------------------------------------------------------------------- looks

async function look() {
  clearTimeout(timer)
  again = looking
  if (looking) return
  looking = true
  try {
    const now = performance.now()
    const { needs } = VIEWS.find(({ id }) => id === current) ?? VIEWS[0]
    const search = ["routes", "services"].includes(current) ? state.search : ""
    // The graph sums up what is little: it needs all there is, and nothing of the past.
    const amount = current === "graph" ? `limit=${MOST}&history=false` : `limit=${LIMIT}&history=true`
    const query = `seconds=${SECONDS}&${amount}&search=${encodeURIComponent(search)}`
    const answers = [
      ask(`/figures?${query}`).then((figures) => {
        state.figures = figures
      }),
      ask("/ready").then((ready) => {
        // Whoever isn't let in is told no more than whether it is ready.
        state.ready = ready?.workers === undefined ? null : ready
      }),
    ]
    for (const name of /** @type {(keyof typeof SOURCES)[]} */ (Object.keys(SOURCES))) {
      const { path, good, always, take } = SOURCES[name]
      const due = needs.includes(name) ? good : always ? SELDOM : Number.POSITIVE_INFINITY
      if (due === Number.POSITIVE_INFINITY || now - (asked.get(name) ?? Number.NEGATIVE_INFINITY) < due) continue
      asked.set(name, now)
      answers.push(
        ask(path).then((answer) => {
          state[name] = answer === null ? null : take(answer)
        }),
      )
    }
    // What one question can't be answered is no reason not to show the others.
    const refused = (await Promise.allSettled(answers)).find((answer) => answer.status === "rejected")
    show()
    if (refused !== undefined) throw refused.reason
    failures = 0
    showConnection(0)
    next(again ? 0 : INTERVAL)
  } catch (error) {
    failures++
    asked.clear()
    const wait = Math.min(MAX_BACKOFF, BACKOFF * 2 ** (failures - 1))
    showConnection(wait, error instanceof Refused ? error : new Refused(error instanceof Error ? error.message : String(error), -1))
    next(again ? 0 : wait)
  } finally {
    looking = false
  }
}

function tryNow() {
  askAgain()
  void look()
}

/** @param {number} ms */
function next(ms) {
  clearTimeout(timer)
  if (!document.hidden) timer = setTimeout(look, ms)
}

/**
 * @param {number} wait ms
 * @param {Refused} [error]
 */
function showConnection(wait, error) {
  const banner = byId("connection")
  if (error === undefined) {
    banner.hidden = true
    ordersAway("")
    return
  }
  const gone = error.status === 0
  const text = gone
    ? "Connection lost: the gateway doesn't answer. What is shown is old."
    : error.status < 0
      ? `This page has failed: ${error.message}. Reload it.`
      : `The gateway refuses: ${error.message}.`
  say(bannerText, text)
  say(bannerNext, `Next try in ${Math.round(wait / 1000)} s.`)
  ordersAway(gone ? "the gateway doesn't answer" : error.message)
  say(byId("state"), gone ? "✕ no connection" : "✕ no answer")
  set(byId("state"), { class: "pill bad" })
  banner.hidden = false
}

// ---------------------------------------------------------------------------------------------------------------------- shows

function show() {
  const { ready } = state
  const pill = byId("state")
  const bad = problemsOf(state)
  const text =
    ready === null
      ? "…"
      : !ready.ready
        ? "✕ not ready"
        : ready.draining
          ? "draining"
          : bad.length > 0
            ? `! ready, ${bad.length} problem${bad.length === 1 ? "" : "s"}`
            : "✓ ready"
  say(pill, text)
  set(pill, { class: `pill ${ready === null ? "" : !ready.ready ? "bad" : bad.length > 0 ? "fair" : "good"}` })
  document.title = ready !== null && !ready.ready ? "✕ Sluice" : "Sluice"
  views.get(current)?.update(state)
  state.handed = ""
}

function showTabs() {
  const tabs = byId("tabs")
  fill(
    tabs,
    ...VIEWS.map(({ id, title }) =>
      h(
        "button",
        {
          type: "button",
          role: "tab",
          id: `tab-${id}`,
          "data-title": title,
          "aria-controls": "view",
          click: () => void (location.hash = id),
          keydown: moveTab,
        },
        title,
      ),
    ),
  )
  route()
}

/** @param {KeyboardEvent} event */
function moveTab(event) {
  const ids = VIEWS.map(({ id }) => id)
  const at = ids.indexOf(current)
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1 }[event.key]
  if (to === undefined) return
  event.preventDefault()
  location.hash = ids[(to + ids.length) % ids.length]
  byId(`tab-${ids[(to + ids.length) % ids.length]}`).focus()
}

function route() {
  const wanted = location.hash.slice(1)
  const view = VIEWS.find(({ id }) => id === wanted) ?? VIEWS[0]
  for (const { id } of VIEWS) {
    set(byId(`tab-${id}`), { "aria-selected": String(id === view.id), tabindex: id === view.id ? 0 : -1 })
  }
  byId(`tab-${view.id}`)?.scrollIntoView({ block: "nearest", inline: "nearest" })
  if (view.id === current) return
  views.get(current)?.leave?.()
  current = view.id
  let made = views.get(view.id)
  if (made === undefined) {
    made = view.create(context)
    views.set(view.id, made)
  }
  const main = byId("view")
  set(main, { "aria-labelledby": `tab-${view.id}` })
  fill(main, made.element)
  made.update(state)
  scrollTo(0, 0)
  void look()
}

/** @param {string} text */
function setSearch(text) {
  searchField.value = text
  state.search = searchField.value.trim()
}

// ---------------------------------------------------------------------------------------------------------------------- theme

const THEMES = ["auto", "light", "dark"]
const dark = matchMedia("(prefers-color-scheme: dark)")

function showTheme() {
  const chosen = localStorage.getItem("sluice-theme") ?? "auto"
  const theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen
  set(document.documentElement, { "data-theme": theme })
  const button = byId("theme")
  const signs = { auto: "◐", light: "☀", dark: "☾" }
  const sign = signs[/** @type {keyof typeof signs} */ (chosen)] ?? signs.auto
  fill(button, sign, h("span", { class: "word" }, ` ${chosen}`))
  set(button, { "aria-label": `Theme: ${chosen}` })
}

function nextTheme() {
  const at = THEMES.indexOf(localStorage.getItem("sluice-theme") ?? "auto")
  localStorage.setItem("sluice-theme", THEMES[(at + 1) % THEMES.length])
  showTheme()
}

// ---------------------------------------------------------------------------------------------------------------------- begin

fill(byId("connection"), bannerText, " ", bannerNext, h("button", { type: "button", click: tryNow }, "Try now"))
onTokenWanted(askForToken)
showTheme()
dark.addEventListener("change", showTheme)
byId("theme").addEventListener("click", nextTheme)
searchField.addEventListener("input", () => {
  state.search = searchField.value.trim()
  views.get(current)?.update(state)
})
addEventListener("hashchange", route)
addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName)
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return
  event.preventDefault()
  searchField.focus()
})
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer)
  else void look()
})
showTabs()
