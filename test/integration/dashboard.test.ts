// The dashboard in a real Chromium, in front of a real gateway: what it shows, what it keeps as text, who may give orders through it,
// and how it is used with keys and on a phone. What is looked at here is the same whatever the gateway runs on: it is looked at once,
// on Node. With SLUICE_TEST_PICTURES=1 pictures are left in test/artefacts/.

import { mkdirSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { root } from "../architecture/repository.ts"
import { Chromium, type Page } from "../support/chromium.ts"
import { runCommand } from "../support/cli.ts"
import { Gateway } from "../support/gateway.ts"
import { callback } from "../support/hostile-guests.ts"
import { freePort, listen } from "../support/ports.ts"
import { program } from "../support/programs.ts"
import { get } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

const path = program("chromium")
const runtime = process.env.SLUICE_RUNTIME ?? "node"
const skipped = runtime !== "node" ? "looked at on Node alone" : path === null ? "needs chromium" : ""

const VIEWS = ["overview", "routes", "services", "graph", "filters", "tap", "config", "explain"]
/** What would run if it were taken for markup. */
const MARKUP = "<img src=x onerror=document.title='run'>"

/** A filter that takes its time, and one that traps with a message. */
function filters(): Record<string, Uint8Array> {
  const script = new Script()
  const message = script.text(MARKUP)
  const spin = "(local.set $i (i32.const 8000000)) (loop $more (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
  return {
    "slow.wasm": guest({ code: callback("proxy_on_request_headers", spin, "(local $i i32)") }),
    "loud.wasm": guest({
      imports: ["proxy_log"],
      data: script.data,
      code: callback("proxy_on_request_headers", `(drop (call $proxy_log (i32.const 4) ${message})) (unreachable)`),
    }),
  }
}

let origin: Server
let evil: Server
let gateway: Gateway
let chromium: Chromium
let page: Page
let traffic: ReturnType<typeof setInterval>
let address = ""
let config: object
const artefacts = join(root, "test/artefacts")

/** For people who want to look; the tests have no use for them. */
const wanted = (process.env.SLUICE_TEST_PICTURES ?? "") !== ""

async function picture(name: string, whole = false): Promise<void> {
  if (!wanted) return
  writeFileSync(join(artefacts, `${name}.png`), await page.picture(whole))
}

/** Shows a view, and waits until it has something to show. */
async function show(view: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(view)}`)
  await page.becomes(`document.querySelector('[role=tab][aria-selected=true]')?.id === 'tab-${view}'`, `the view ${view}`)
}

const text = (): Promise<string> => page.evaluate<string>("document.getElementById('view').innerText")
const wide = (): Promise<number> => page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth")

describe.skipIf(skipped !== "")(`the dashboard in Chromium${skipped === "" ? "" : ` (skipped: ${skipped})`}`, () => {
  beforeAll(async () => {
    if (wanted) mkdirSync(artefacts, { recursive: true })
    origin = createServer((request, response) => {
      response.writeHead(request.url === "/orders/fails" ? 503 : 200, { "x-answer": MARKUP }).end("hello")
    })
    evil = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<title>evil</title>"))
    const [{ port }, gone, { port: spare }] = await Promise.all([listen(origin), freePort(), listen(evil)])
    config = {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "off",
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: {
        shop: { endpoints: [`127.0.0.1:${port}`] },
        spare: { endpoints: [`127.0.0.1:${port}`, `127.0.0.1:${spare}`] },
        orders: { endpoints: [`127.0.0.1:${port}`, `127.0.0.1:${gone}`], outlierDetection: {} },
      },
      filters: { pricing: { module: "./slow.wasm", limits: { cpu: "100ms" } }, loud: { module: "./loud.wasm", onError: "skip" } },
      routes: [
        { name: "shop", backends: "shop" },
        { name: "orders", match: { path: "/orders" }, filters: ["pricing"], backends: "orders" },
        { name: "loud", match: { path: "/loud" }, filters: ["loud"], respond: { status: 200, body: "loud" } },
      ],
    }
    const started = Gateway.start({
      config,
      files: filters(),
    })
    ;[gateway, chromium] = await Promise.all([started, Chromium.start(path as string)])
    address = `http://127.0.0.1:${gateway.adminPort}`
    const targets = ["/", "/orders/7", "/", "/orders/fails", "/loud"]
    let at = 0
    traffic = setInterval(() => void get(gateway.port(), targets[at++ % targets.length]).catch(() => {}), 20)
    page = await chromium.page()
    await page.media({ "prefers-color-scheme": "light" })
    await page.open(`${address}/dashboard`)
  }, 60_000)

  afterAll(async () => {
    clearInterval(traffic)
    await chromium?.stop()
    await gateway?.kill()
    for (const server of [origin, evil]) {
      server?.closeAllConnections()
      server?.close()
    }
  })

  test("shows live traffic, and what is wrong first", async () => {
    await page.becomes("Number(document.querySelector('.figure .value span')?.textContent) > 5", "a rate of requests")
    await page.becomes("document.querySelector('.problems')?.innerText.includes('pricing takes')", "the slow filter among the problems")
    await page.becomes("document.querySelector('.problems')?.innerText.includes('Service orders')", "the ejected endpoint among them")
    const shown = await text()
    for (const part of ["shop", "orders", "pricing", "loud", "p99", "Service orders"]) expect(shown).toContain(part)
    await page.becomes("document.querySelector('.chart path.line').getAttribute('d').length > 20", "a line in the chart")
    await picture("overview")
  })

  test("every view loads under its policy without a complaint", async () => {
    expect(await page.evaluate("document.getElementById('tabs').innerText.split(/\\s+/).length")).toBe(VIEWS.length)
    for (const view of VIEWS.slice(1)) {
      await show(view)
      await page.becomes("document.getElementById('view').innerText.length > 20", `something in ${view}`)
      await picture(view)
    }
    await show("services")
    await page.becomes("document.getElementById('view').innerText.includes('ejected')", "the ejected endpoint")
    await show("graph")
    await page.becomes("document.querySelectorAll('.graph .node').length >= 5", "the graph")
    expect(page.complaints).toEqual([])
    const { headers } = await fetch(`${address}/dashboard`)
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
  })

  test("what clients, services and filters write stays text", async () => {
    await show("filters")
    await page.becomes("document.getElementById('view').innerText.includes('loud')", "the filters")
    await page.evaluate("[...document.querySelectorAll('tbody button.link')].find((each) => each.textContent === 'loud').click()")
    await page.becomes("document.querySelectorAll('#view .card').length === 2", "the filter's details")
    await show("tap")
    await page.evaluate("document.querySelector('#view form button[type=submit]').click()")
    await page.becomes("document.querySelector('#view form button[type=submit]').textContent === 'Stop'", "the tap")
    await page.becomes("document.querySelectorAll('#view tbody tr').length > 0", "an exchange in the tap")
    await get(gateway.port(), `/orders/${encodeURIComponent("a")}?q=${MARKUP.replaceAll(" ", "%20").replaceAll("<", "%3C")}`, {
      "x-hostile": MARKUP,
      "user-agent": MARKUP,
    })
    await page.becomes("[...document.querySelectorAll('#view tbody button')].some((each) => each.textContent.includes('onerror'))", "it")
    await page.evaluate("[...document.querySelectorAll('#view tbody button')].find((each) => each.textContent.includes('onerror')).click()")
    await page.becomes("document.getElementById('view').innerText.includes('x-hostile')", "its headers")
    const shown = await text()
    expect(shown).toContain(MARKUP)
    expect(shown).toContain("pricing: request headers")
    await picture("tap-details")
    await page.evaluate("document.querySelector('#view form button[type=submit]').click()")
    expect(await page.evaluate("document.querySelectorAll('main img').length")).toBe(0)
    expect(await page.evaluate("document.title")).toBe("Sluice")
    expect(page.complaints).toEqual([])
  })

  test("explain answers what would become of a request", async () => {
    await show("explain")
    await page.evaluate("document.getElementById('url').value = '/orders/7'; document.querySelector('#view form button').click()")
    await page.becomes("document.getElementById('view').innerText.includes('At listener edge')", "the answer")
    // In the words that the command line has: of the routes that aren't taken, too.
    const shown = (await text()).replaceAll(/\s+/g, " ")
    const { stdout } = await runCommand(["explain", "GET", "/orders/7", "--admin", `127.0.0.1:${gateway.adminPort}`])
    const said = stdout.split("\n").slice(1)
    expect(said.some((line) => line.includes("matches too, but"))).toBe(true)
    for (const line of said.filter((each) => !each.includes("under way"))) expect(shown).toContain(line.trim().replaceAll(/\s+/g, " "))
    await picture("explain")
  })

  test("gives an order only when it is confirmed, and a page of another origin can't", async () => {
    await show("filters")
    await page.becomes("document.getElementById('view').innerText.includes('loud')", "the filters")
    await page.evaluate("[...document.querySelectorAll('tbody button.link')].find((each) => each.textContent === 'loud').click()")
    const button = (text: string): string => `[...document.querySelectorAll('#view button')].find((each) => each.textContent === '${text}')`
    const order = button("Quarantine")
    await page.becomes(order, "the order")
    // What can't be done says why.
    await page.evaluate(`${button("Roll back")}.click()`)
    await page.becomes("document.querySelector('#alerts')?.innerText.includes('has had no other module before')", "why not")
    await page.evaluate("document.getElementById('alerts').replaceChildren()")
    await page.evaluate(`${order}.focus()`)
    await page.press("Enter")
    await page.becomes("document.querySelector('dialog[open]')", "the question")
    await page.press("Escape")
    await page.becomes("!document.querySelector('dialog')", "its end")
    expect(await page.evaluate(`document.activeElement === ${order}`)).toBe(true)
    interface Change {
      readonly refused: string | null
    }
    /** Those that were carried out: what was turned away is told of, too. */
    const orders = async (): Promise<number> => {
      const { history } = (await (await fetch(`${address}/history`)).json()) as { readonly history: readonly Change[] }
      return history.filter(({ refused }) => refused === null).length
    }
    expect(await orders()).toBe(0)
    await page.press("Enter")
    await page.becomes("document.querySelector('dialog[open]')", "the question")
    await page.evaluate("document.querySelector('dialog button[type=submit]').click()")
    await page.becomes("document.querySelector('#alerts .alert')", "what became of it")
    expect(await orders()).toBe(1)

    const { port } = evil.address() as { port: number }
    const foreign = await chromium.page()
    await foreign.open(`http://127.0.0.1:${port}/`)
    const forged = (more: string): string =>
      `fetch(${JSON.stringify(`${address}/filters/loud/release`)}, { method: "POST", ${more} }).then((r) => r.status, () => "refused")`
    expect(await foreign.evaluate(forged('headers: { "x-sluice-admin": "1" }'))).toBe("refused")
    expect(await foreign.evaluate(forged('mode: "no-cors"'))).toBe("refused")
    await foreign.evaluate(`(() => {
      const form = Object.assign(document.createElement("form"), { method: "post", action: ${JSON.stringify(`${address}/filters/loud/release`)}, target: "there" })
      document.body.append(Object.assign(document.createElement("iframe"), { name: "there" }), form)
      form.submit()
    })()`)
    // Nor can it read anything.
    expect(await foreign.evaluate(`fetch(${JSON.stringify(`${address}/config`)}).then(() => "read", () => "refused")`)).toBe("refused")
    expect(await orders()).toBe(1)
  })

  test("is used with keys alone", async () => {
    await show("overview")
    await page.reload()
    await page.becomes("document.getElementById('tab-explain')", "the tabs")
    await page.press("Tab")
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to content")
    await page.press("Enter")
    expect(await page.evaluate("document.activeElement.id")).toBe("view")
    await page.evaluate("document.getElementById('tab-overview').focus()")
    await page.press("ArrowRight")
    expect(await page.evaluate("document.activeElement.id")).toBe("tab-routes")
    await page.becomes("document.querySelector('[aria-selected=true]').id === 'tab-routes'", "the next view")
    await page.press("End")
    expect(await page.evaluate("document.activeElement.id")).toBe("tab-explain")
    await page.press("ArrowRight")
    expect(await page.evaluate("document.activeElement.id")).toBe("tab-overview")
    await page.press("/")
    expect(await page.evaluate("document.activeElement.id")).toBe("search")
    expect(await page.evaluate("document.getElementById('search').value")).toBe("")
    const named =
      "[...document.querySelectorAll('button, input, select, textarea')].filter((each) => !(each.textContent.trim() || each.labels?.length || each.getAttribute('aria-label')))"
    expect(await page.evaluate(`${named}.length`)).toBe(0)
  })

  test("fits a phone in every view, and is dark where that is wanted", async () => {
    await page.resize({ width: 390, height: 800 })
    for (const view of VIEWS) {
      await show(view)
      await page.becomes("document.getElementById('view').innerText.length > 20", `something in ${view}`)
      expect([view, await wide()]).toEqual([view, 0])
    }
    await show("overview")
    await picture("phone", true)
    const background = (): Promise<string> => page.evaluate<string>("getComputedStyle(document.body.parentElement).backgroundColor")
    const light = await background()
    await page.media({ "prefers-color-scheme": "dark" })
    await page.becomes("document.documentElement.dataset.theme === 'dark'", "the dark theme")
    expect(await background()).not.toBe(light)
    await page.resize({ width: 1280, height: 800 })
    await picture("dark")
    await page.evaluate("document.getElementById('theme').click()")
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("light")
  })

  test("texts have a contrast of 4.5 : 1 in both themes", async () => {
    for (const theme of ["light", "dark"]) {
      await page.evaluate(`document.documentElement.dataset.theme = ${JSON.stringify(theme)}`)
      for (const view of ["overview", "services", "filters"]) {
        await show(view)
        await page.becomes("document.querySelectorAll('#view td').length > 4", `rows in ${view}`)
        // Colours pass over into those of the other theme.
        await page.becomes("!document.getAnimations().some((each) => each instanceof CSSTransition)", `the colours of ${theme}`)
        expect([theme, view, await page.evaluate(POOR_CONTRAST)]).toEqual([theme, view, []])
      }
    }
  })

  test("drains an endpoint, quarantines, pushes and rolls back a filter, and goes back to a configuration", async () => {
    const before = page.complaints.length
    /** Presses a button of the view, says yes, and waits until the gateway has said what it did. */
    const give = async (button: string, said: RegExp): Promise<void> => {
      await page.evaluate("document.getElementById('alerts').replaceChildren()")
      await page.becomes(`(${button}) && !(${button}).disabled`, button)
      await page.evaluate(`(${button}).click()`)
      await page.becomes("document.querySelector('dialog[open]')", "the question")
      await page.evaluate("document.querySelector('dialog button[type=submit]').click()")
      await page.becomes("document.querySelector('#alerts .alert')", "what became of it")
      expect(await page.evaluate("document.getElementById('alerts').innerText")).toMatch(said)
    }
    const named = (name: string): string => `[...document.querySelectorAll('#view button')].find((each) => each.textContent === '${name}')`
    const ask = async (path: string) => (await fetch(`${address}${path}`)).json()

    await show("services")
    const { port } = evil.address() as { port: number }
    const row = `[...document.querySelectorAll('#view tbody tr')].find((each) => each.innerText.includes('127.0.0.1:${port}'))`
    await page.becomes(row, "the endpoint")
    await give(`${row}.querySelector('.actions button')`, /gets no new requests/)
    await page.becomes(`${row}.innerText.includes('drained')`, "the drained endpoint")
    await picture("drained")
    await give(`${row}.querySelector('.actions button')`, /gets requests again/)

    await show("filters")
    await page.evaluate("[...document.querySelectorAll('tbody button.link')].find((each) => each.textContent === 'pricing').click()")
    const digest = async (): Promise<string> =>
      (await ask("/filters")).filters.find(({ name }: { name: string }) => name === "pricing").digest
    const served = await digest()
    await give(named("Quarantine"), /in quarantine/)
    await page.becomes("document.querySelector('#view pre').innerText.includes('in quarantine by order')", "its log")
    await give(named("Release"), /released/)
    await page.evaluate(`(() => {
      const module = Uint8Array.from(atob(${JSON.stringify(Buffer.from(guest({})).toString("base64"))}), (each) => each.charCodeAt(0))
      const files = new DataTransfer()
      files.items.add(new File([module], "fast.wasm", { type: "application/wasm" }))
      document.getElementById("module").files = files.files
    })()`)
    await give(named("Push"), /pricing/)
    expect(await digest()).not.toBe(served)
    await give(named("Roll back"), /pricing/)
    expect(await digest()).toBe(served)

    gateway.writeConfig({ ...config, zone: "a" })
    await gateway.waitForLog(({ message }) => message === "configuration taken", "the configuration with a zone")
    await show("config")
    await page.becomes("document.querySelectorAll('#from option').length === 2", "two configurations")
    expect(await page.evaluate("document.querySelectorAll('#from option')[0].textContent")).toContain("(in force)")
    await page.becomes("document.querySelector('#view pre').textContent.includes('@@ zone @@\\n+a\\n')", "what changed")
    await give(named("Roll back …"), /in force as generation/)
    expect((await ask("/config")).zone).toBe("")
    await page.becomes("document.getElementById('view').innerText.includes('rollback to generation')", "the way back in the history")
    await picture("orders", true)
    // The browser names what was refused in a test before.
    expect(page.complaints.slice(before)).toEqual([])
  })

  test("sluice top tells the same in a terminal", async () => {
    const { code, stdout } = await runCommand(["top", "--json", "--admin", `127.0.0.1:${gateway.adminPort}`])
    expect(code).toBe(0)
    expect(JSON.parse(stdout).routes.map(({ name }: { name: string }) => name)).toContain("shop")
  })

  test("says so when the gateway is gone", async () => {
    await gateway.kill()
    await page.becomes("!document.getElementById('connection').hidden", "the banner")
    expect(await page.evaluate("document.getElementById('connection').innerText")).toContain("Connection lost")
    await picture("lost")
  })
})

/** Texts on the page that are hard to read, with their contrast; runs in the page. */
const POOR_CONTRAST = `(() => {
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number)
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
  const behind = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor)
      if (colour.length === 3 || colour[3] === 1) return colour
    }
    return [255, 255, 255]
  }
  const poor = []
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "")
    if (!own || element.closest("svg, [hidden], dialog, option") || element.disabled || element.getClientRects().length === 0) continue
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))].sort((x, y) => y - x)
    const contrast = (a + 0.05) / (b + 0.05)
    if (contrast < 4.5) poor.push(element.textContent.trim().slice(0, 40) + " " + contrast.toFixed(2))
  }
  return [...new Set(poor)]
})()`
