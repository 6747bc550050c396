// `sluice top`: what a running gateway is busy with, once a second, until somebody has seen enough. The terminal is left as it was
// found, however it ends.

import type { Figures } from "../telemetry/live-summary.ts"
import { adminArgument, askAdmin, refusalOf } from "./admin-client.ts"
import { adminTarget } from "./admin-target.ts"
import { type Command, command, UsageError, type Values } from "./command.ts"
import { type TopKind, type TopSort, type TopView, topKinds, topScreen, topSorts } from "./top-screen.ts"

/** ms from one look to the next. */
const INTERVAL = 1000
/** Seconds that one look at a gateway nobody had looked at waits for, and ms it does so at most. */
const FIRST = 2
const PATIENCE = 8000
/** Where nothing says how wide the terminal is. */
const WIDTH = 100

const KEYS: Readonly<Record<string, TopSort>> = { r: "rate", s: "success", 5: "p50", 9: "p99", n: "name" }
const HELP = "sort by: r rate  s success  5 p50  9 p99  n name   q ends"

export const top: Command = command({
  name: "top",
  description: "Live table of a running gateway: requests, success and latency by route, service and filter",
  args: {
    ...adminArgument,
    only: { type: "string", description: `One of them: ${topKinds.join(", ")}`, valueHint: "KIND" },
    sort: { type: "string", description: `What comes first: ${topSorts.join(", ")}`, valueHint: "KEY", default: "rate" },
    search: { type: "string", description: "Routes and services with this in their names", valueHint: "TEXT" },
    seconds: { type: "string", description: "Of how many of the last seconds, 1 to 60", valueHint: "N", default: "10" },
    once: { type: "boolean", description: "Print the figures once, and end", default: false },
    json: { type: "boolean", description: "As JSON, once, with everything that is known", default: false },
  },
  examples: ["sluice top", "sluice top --only services --sort p99", "sluice top --once", "sluice top --json | jq '.routes[0]'"],
  run: async (args) => {
    const kinds = args.only === undefined ? topKinds : [choice<TopKind>(args, "only", topKinds)]
    const sort = choice<TopSort>(args, "sort", topSorts)
    const seconds = Number(args.seconds)
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > 60) throw new UsageError("--seconds is a whole number from 1 to 60")
    const query = new URLSearchParams({ seconds: String(seconds), limit: "200", search: String(args.search ?? "") })
    const ask = (): Promise<Figures> => askFigures(args, `/figures?${query}`)
    const colour = process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === ""
    const view: TopView = {
      kinds,
      sort,
      width: process.stdout.columns ?? WIDTH,
      height: 0,
      colour,
      address: adminTarget(args).shown,
      trouble: "",
    }
    try {
      if (args.json === true || args.once === true || process.stdout.isTTY !== true) {
        const figures = await settled(ask, Math.min(FIRST, seconds))
        process.stdout.write(args.json === true ? `${JSON.stringify(figures, null, 2)}\n` : `${topScreen(figures, view).join("\n")}\n`)
        return 0
      }
      await ask()
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
    return await live(ask, view)
  },
})

function choice<T extends string>(args: Values, name: string, values: readonly T[]): T {
  const found = values.find((value) => value === args[name])
  if (found === undefined) throw new UsageError(`--${name} is one of ${values.join(", ")}`)
  return found
}

async function askFigures(args: Values, path: string): Promise<Figures> {
  const { status, body } = await askAdmin(args, path)
  if (status !== 200) throw new Error(refusalOf(status, body))
  return body as unknown as Figures
}

/** Asks until the figures are of some seconds: the first look is what begins the counting. */
async function settled(ask: () => Promise<Figures>, seconds: number): Promise<Figures> {
  const end = performance.now() + PATIENCE
  for (;;) {
    const figures = await ask()
    if (figures.seconds >= seconds - 0.2 || performance.now() > end) return figures
    await new Promise((resolve) => setTimeout(resolve, INTERVAL / 4))
  }
}

/** On a screen of its own, until a key or a signal ends it. */
async function live(ask: () => Promise<Figures>, start: TopView): Promise<number> {
  const { stdin, stdout } = process
  let { sort } = start
  let figures: Figures | null = null
  let trouble = ""
  let restored = false
  const restore = (): void => {
    if (restored) return
    restored = true
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
    stdout.write("\u001b[?25h\u001b[?1049l")
  }
  const draw = (): void => {
    if (restored || figures === null) return
    const [width, height] = [stdout.columns ?? WIDTH, stdout.rows ?? 40]
    const lines = topScreen(figures, { ...start, sort, width, height: height - 1, trouble })
    while (lines.length < height - 1) lines.push("")
    lines.push(HELP.slice(0, width))
    // Over what is there, so that nothing flickers.
    stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join("\n")}\u001b[J`)
  }
  process.once("exit", restore)
  stdout.write("\u001b[?1049h\u001b[?25l")
  stdout.on("resize", draw)
  const ended = new Promise<void>((resolve) => {
    process.once("SIGINT", resolve)
    process.once("SIGTERM", resolve)
    if (!stdin.isTTY) return
    stdin.setRawMode(true)
    stdin.setEncoding("utf8")
    stdin.on("data", (keys: string) => {
      for (const key of keys) {
        if (key === "q" || key === "\u0003" || key === "\u0004") return resolve()
        sort = KEYS[key] ?? sort
      }
      draw()
    })
  })
  let over = false
  const looks = (async () => {
    while (!over) {
      try {
        figures = await ask()
        trouble = ""
      } catch (error) {
        trouble = error instanceof Error ? error.message : String(error)
      }
      draw()
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, INTERVAL))])
    }
  })()
  try {
    await ended
    over = true
    await Promise.race([looks, new Promise((resolve) => setTimeout(resolve, INTERVAL))])
  } finally {
    over = true
    restore()
    process.removeListener("exit", restore)
  }
  return 0
}
