// A real browser for tests, driven over its DevTools protocol: opens pages, runs scripts in them, presses keys, takes pictures, and
// remembers everything a page complained about.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { until, within } from "./deadline.ts"
import { RunningProgram } from "./programs.ts"

/** Arguments that make it start quickly, quietly and without a screen. */
export function chromiumFlags(profile: string): string[] {
  return [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    ...["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", `--user-data-dir=${profile}`],
    "--remote-debugging-port=0",
  ]
}

interface Exception {
  readonly text: string
  readonly exception?: { readonly description?: string }
}

/** What the protocol tells: of all its events and answers, the parts that are used here. */
interface Told {
  readonly browserContextId: string
  readonly targetId: string
  readonly sessionId: string
  readonly data: string
  readonly result: { readonly value: unknown }
  readonly exceptionDetails?: Exception
  readonly type: string
  readonly args: readonly { readonly value?: unknown; readonly description?: string }[]
  readonly entry: { readonly level: string; readonly text: string; readonly url?: string }
}

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: Told
  readonly result?: Told
  readonly error?: { readonly message: string }
}

export class Chromium {
  readonly #program: RunningProgram
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, { resolve(result: Told): void; reject(error: Error): void }>()
  readonly #listeners = new Map<string, (method: string, params: Told) => void>()
  #sent = 0

  private constructor(program: RunningProgram, profile: string, socket: WebSocket) {
    this.#program = program
    this.#profile = profile
    this.#socket = socket
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data))))
  }

  static async start(path: string): Promise<Chromium> {
    const profile = mkdtempSync(join(tmpdir(), "sluice-chromium-"))
    const program = RunningProgram.spawn(path, chromiumFlags(profile))
    const file = join(profile, "DevToolsActivePort")
    const lines = await until(() => {
      const text = existsSync(file) ? readFileSync(file, "utf8") : ""
      return /^\d+\n\/\S+/.test(text) ? text.trim().split("\n") : null
    }, "Chromium's DevTools port")
    const socket = new WebSocket(`ws://127.0.0.1:${lines[0]}${lines[1]}`)
    const open = new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve())
      socket.addEventListener("error", () => reject(new Error("Chromium's DevTools can't be reached")))
    })
    await within(open, "a connection to Chromium's DevTools")
    return new Chromium(program, profile, socket)
  }

  #take({ id, sessionId, method, params, result, error }: Message): void {
    if (id !== undefined) {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error !== undefined) waiting?.reject(new Error(error.message))
      else waiting?.resolve(result as Told)
    } else if (method !== undefined && sessionId !== undefined) {
      this.#listeners.get(sessionId)?.(method, params as Told)
    }
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<Told> {
    const id = ++this.#sent
    const answer = new Promise<Told>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    return within(answer, `Chromium's answer to ${method}`)
  }

  /** A new tab with nothing of other tabs in it. */
  async page(size: { readonly width: number; readonly height: number } = { width: 1280, height: 800 }): Promise<Page> {
    const { browserContextId } = await this.send("Target.createBrowserContext")
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId })
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true })
    const page = new Page((method, params) => this.send(method, params, sessionId))
    this.#listeners.set(sessionId, (method, params) => page.told(method, params))
    await page.prepare(size)
    return page
  }

  async stop(): Promise<void> {
    this.#socket.close()
    await this.#program.stop()
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

const KEYS: Readonly<Record<string, { readonly code: number; readonly text?: string }>> = {
  Tab: { code: 9 },
  Enter: { code: 13, text: "\r" },
  Escape: { code: 27 },
  " ": { code: 32, text: " " },
  End: { code: 35 },
  Home: { code: 36 },
  ArrowLeft: { code: 37 },
  ArrowRight: { code: 39 },
  "/": { code: 191, text: "/" },
}

export class Page {
  /** Errors on the console, exceptions nobody caught, and what a policy refused. */
  readonly complaints: string[] = []
  readonly #send: (method: string, params?: object) => Promise<Told>
  #loaded: () => void = () => {}

  constructor(send: (method: string, params?: object) => Promise<Told>) {
    this.#send = send
  }

  told(method: string, params: Told): void {
    if (method === "Page.loadEventFired") this.#loaded()
    else if (method === "Runtime.exceptionThrown")
      this.complaints.push(String(params.exceptionDetails?.exception?.description ?? params.exceptionDetails?.text))
    else if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type))
      this.complaints.push(params.args.map(({ value, description }) => String(value ?? description)).join(" "))
    else if (method === "Log.entryAdded" && params.entry.level === "error")
      this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`)
  }

  async prepare(size: { readonly width: number; readonly height: number }): Promise<void> {
    await Promise.all([this.#send("Page.enable"), this.#send("Runtime.enable"), this.#send("Log.enable"), this.resize(size)])
  }

  async resize({ width, height }: { readonly width: number; readonly height: number }): Promise<void> {
    await this.#send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 })
  }

  /** `features`: of media queries, as `prefers-color-scheme`. */
  async media(features: Readonly<Record<string, string>>): Promise<void> {
    await this.#send("Emulation.setEmulatedMedia", { features: Object.entries(features).map(([name, value]) => ({ name, value })) })
  }

  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve
    })
    await this.#send("Page.navigate", { url })
    await within(loaded, `the page ${url}`)
  }

  /** The same page anew, with nothing focused. */
  async reload(): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve
    })
    await this.#send("Page.reload")
    await within(loaded, "the page again")
  }

  /** Value of an expression, awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails !== undefined) throw new Error(String(exceptionDetails.exception?.description ?? exceptionDetails.text))
    return result.value as T
  }

  /** Waits until an expression is true in the page. */
  async becomes(expression: string, what: string): Promise<void> {
    await until(() => this.evaluate<boolean>(`Boolean(${expression})`), what)
  }

  async press(key: string): Promise<void> {
    const { code, text } = KEYS[key] ?? { code: key.toUpperCase().charCodeAt(0), text: key }
    const event = { key: key === "Enter" ? "Enter" : key, windowsVirtualKeyCode: code, ...(text === undefined ? {} : { text }) }
    await this.#send("Input.dispatchKeyEvent", { type: text === undefined ? "rawKeyDown" : "keyDown", ...event })
    await this.#send("Input.dispatchKeyEvent", { type: "keyUp", ...event })
  }

  /** A PNG; `whole`: of all the page, however long. */
  async picture(whole = false): Promise<Buffer> {
    const { data } = await this.#send("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole })
    return Buffer.from(data, "base64")
  }
}
