// The dashboard in a real Chromium where a gateway seldom is: with a token, away, hanging, and telling what nobody should be able to
// tell. The admin API is the real one, of a gateway that isn't there. Looked at once, on Node.

import { setImmediate } from "node:timers/promises"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { createAdmin } from "../../gateway/admin/admin.ts"
import type { AdminDeps } from "../../gateway/admin/app.ts"
import type { ServiceStatus } from "../../gateway/admin/service-status.ts"
import { type FetchServer, serveFetch } from "../../gateway/runtime/serve.ts"
import type { Figures } from "../../gateway/telemetry/live-summary.ts"
import { Chromium, type Page } from "../support/chromium.ts"
import { program } from "../support/programs.ts"
import { adminDeps } from "../unit/admin/support/deps.ts"

const path = program("chromium")
const runtime = process.env.SLUICE_RUNTIME ?? "node"
const skipped = runtime !== "node" ? "looked at on Node alone" : path === null ? "needs chromium" : ""

const TOKEN = "a-token-nobody-guesses"
/** What an authority could be got to write into a certificate: markup, and a name that reads as another. */
const HOSTILE = "<img src=x onerror=document.title='run'>\u202egro.elpmaxe"

const limit = { used: 0, max: 1024 }
const shop: ServiceStatus = {
  name: "shop",
  taking: 1,
  usable: 1,
  drained: 0,
  underWay: { requests: 0, connections: 0 },
  requests: 0,
  failures: 0,
  latency: null,
  limits: { requests: limit, connections: limit, pending: limit, retries: limit },
  concurrency: null,
  full: [],
  refused: {},
  failover: null,
  endpoints: [
    {
      address: "10.0.0.1:80",
      weight: 1,
      zone: "",
      priority: 0,
      healthy: null,
      ejected: null,
      consecutive: null,
      drained: null,
      active: { requests: 0, connections: 0 },
      requests: 0,
      failures: 0,
      latency: null,
    },
  ],
}

function graph(figures: Figures): Figures {
  return {
    ...figures,
    edges: [
      { listener: "edge", route: "shop", service: "shop", asksWho: false, requests: 5, success: 1 },
      { listener: "mesh", route: "shop", service: "shop", asksWho: true, requests: 10, success: 1 },
    ],
    callers: [{ source: HOSTILE, service: "shop", requests: 7, success: 0.5 }],
  }
}

let server: FetchServer
let chromium: Chromium
let page: Page
let address = ""
let deps: AdminDeps
/** Requests are answered when it is over. */
let hold = Promise.resolve()
const orders: string[] = []

const banner = (): Promise<string> => page.evaluate<string>("document.getElementById('connection').innerText")
const shown = "!document.getElementById('connection').hidden"

describe.skipIf(skipped !== "")(`the dashboard, of a gateway${skipped === "" ? "" : ` (skipped: ${skipped})`}`, () => {
  beforeAll(async () => {
    deps = adminDeps({
      services: () => [shop],
      drain: (service, endpoint, force) => {
        orders.push(`${service} ${endpoint} ${force}`)
        const message = `endpoint ${endpoint} of service ${service}`
        return Promise.resolve(
          force
            ? { status: 200, message: `${message} gets no new requests` }
            : {
                status: 409,
                message: `${message} is the last that is usable: without it its requests would be answered with 503; make another one usable first, or force it (--force; ?force=true)`,
              },
        )
      },
    })
    const { figures } = deps
    Object.assign(deps, { figures: (question: Parameters<typeof figures>[0]) => graph(figures(question)) })
    const door = createAdmin(deps, { address: { host: "127.0.0.1", port: 0 }, openMetrics: false }, TOKEN)
    const started = serveFetch({
      fetch: async (request, peer) => {
        if (!new URL(request.url).pathname.startsWith("/dashboard")) await hold
        return door.fetch(request, peer)
      },
      at: { host: "127.0.0.1", port: 0 },
      tls: null,
      onError: () => {},
    })
    ;[server, chromium] = await Promise.all([started, Chromium.start(path as string)])
    address = `http://127.0.0.1:${server.port}/dashboard`
    // What is behind the door is loaded when it is first asked.
    await fetch(`http://127.0.0.1:${server.port}/history`, { headers: { authorization: `Bearer ${TOKEN}` } })
  }, 60_000)

  afterAll(async () => {
    await chromium?.stop()
    await server?.close()
  })

  beforeEach(async () => {
    page = await chromium.page()
  })

  /** Opens a view, with the token. */
  async function open(view: string): Promise<void> {
    await page.open(`${address}/icon.svg`)
    await page.evaluate(`sessionStorage.setItem("sluice-admin-token", ${JSON.stringify(TOKEN)})`)
    await page.open(`${address}#${view}`)
  }

  async function answer(token: string): Promise<void> {
    await page.becomes("document.querySelector('dialog[open] input')", "the question for the token")
    await page.evaluate(`(() => {
      const input = document.querySelector("dialog input")
      input.value = ${JSON.stringify(token)}
      input.dispatchEvent(new Event("input"))
      document.querySelector("dialog button[type=submit]").click()
    })()`)
  }

  test("that wants a token: is asked for until it is right, and again when it has changed", async () => {
    await page.open(address)
    // What no header can hold isn't sent, nor kept.
    await answer("näh")
    expect(await page.evaluate("document.querySelector('dialog input').validity.customError")).toBe(true)
    await answer("wrong")
    await page.becomes("document.querySelector('dialog')?.innerText.includes('refused that token')", "the question once more")
    await page.press("Escape")
    await page.becomes(shown, "the banner")
    expect(await banner()).toContain("this needs a token")
    expect(await page.evaluate("document.getElementById('state').textContent")).toBe("✕ no answer")
    await page.evaluate("document.querySelector('#connection button').click()")
    await answer(TOKEN)
    await page.becomes("document.getElementById('state').textContent === '✓ ready'", "the page")
    await page.becomes(`!(${shown})`, "no banner")
    await page.evaluate("sessionStorage.setItem('sluice-admin-token', 'of-yesterday')")
    await answer(TOKEN)
    await page.becomes("!document.querySelector('dialog')", "the end of the question")
    // Wrong tokens are the browser's to name; nothing else was wrong.
    expect(page.complaints.filter((complaint) => !complaint.includes("401"))).toEqual([])
  }, 60_000)

  test("that drains its last endpoint: says what becomes of its requests, and does it all the same", async () => {
    orders.length = 0
    await open("services")
    await page.becomes("document.querySelector('#view .order')", "the order")
    await page.evaluate("document.querySelector('#view .order').click()")
    await page.becomes("document.querySelector('dialog[open]')", "the question")
    await page.evaluate("document.querySelector('dialog button[type=submit]').click()")
    await page.becomes("document.querySelector('dialog')?.innerText.includes('all the same')", "the second question")
    const said = await page.evaluate<string>("document.querySelector('dialog').innerText")
    expect(said).toContain("is the last that is usable: without it its requests would be answered with 503. Clients notice.")
    expect(said).not.toContain("force")
    await page.evaluate("document.querySelector('dialog button[type=submit]').click()")
    await page.becomes("document.querySelector('#alerts')?.innerText.includes('gets no new requests')", "what became of it")
    expect(orders).toEqual(["shop 10.0.0.1:80 false", "shop 10.0.0.1:80 true"])
  })

  test("that hangs: it says so, takes no orders, and goes on when it is back", async () => {
    await open("services")
    await page.becomes("document.querySelector('#view .order')", "the order")
    let release = (): void => {}
    hold = new Promise((resolve) => {
      release = resolve
    })
    await page.becomes(shown, "the banner")
    expect(await banner()).toContain("the gateway doesn't answer")
    expect(await page.evaluate("document.getElementById('state').textContent")).toBe("✕ no connection")
    expect(await page.evaluate("document.querySelector('#view .order').getAttribute('aria-disabled')")).toBe("true")
    await page.evaluate("document.querySelector('#view .order').click()")
    await page.becomes("document.querySelector('#alerts')?.innerText.includes(\"doesn't answer\")", "why not")
    expect(await page.evaluate("document.querySelector('dialog')")).toBe(null)
    release()
    await setImmediate()
    await page.becomes(`!(${shown})`, "no banner")
    await page.becomes("document.querySelector('#view .order').getAttribute('aria-disabled') === null", "the order again")
  })

  test("that fails to answer one question: the others' answers are shown", async () => {
    const { services } = deps
    Object.assign(deps, {
      services: () => {
        throw new Error("no memory")
      },
    })
    await open("graph")
    await page.becomes("document.querySelectorAll('.graph .node').length === 4", "the graph")
    await page.becomes(shown, "the banner")
    expect(await banner()).toContain("no memory")
    Object.assign(deps, { services })
  })

  test("whose callers are known: they are drawn, and others by the listener they came by; their names stay text", async () => {
    await open("graph")
    await page.becomes("document.querySelectorAll('.graph .node').length === 4", "the graph")
    const rows =
      "[...document.querySelectorAll('#view .tablebox:not([hidden]) tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
    expect(await page.evaluate<string[][]>(rows)).toEqual([
      [HOSTILE.replace("\u202e", "\ufffd"), "shop", "7", "50.0%"],
      ["others by listener edge", "shop", "5", "100%"],
      ["others by listener mesh", "shop", "3", "100%"],
    ])
    await page.evaluate("document.querySelector('input[value=edges]').click()")
    await page.becomes("document.querySelector('.graph').textContent.includes('Routes')", "the routes")
    expect(await page.evaluate(`${rows}.length`)).toBe(2)
    expect(await page.evaluate("[document.title, document.querySelectorAll('main img').length]")).toEqual(["Sluice", 0])
    // The browser looks for a picture of the bare file it was sent to first.
    expect(page.complaints.filter((complaint) => !complaint.includes("favicon"))).toEqual([])
  })
})
