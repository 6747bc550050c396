// The command line: finds the command, refuses what it doesn't know, prints help. What commands do is in their own files,
// loaded when asked for.

import { stripVTControlCharacters } from "node:util"
import { type ArgsDef, type CommandDef, parseArgs, renderUsage } from "citty"
import { canaryOrders } from "../resilience/canary.ts"
import { packageVersion } from "../version.ts"
import { type Command, type Commands, command, UsageError } from "./command.ts"

const commands: Commands = {
  run: () => import("./run.ts").then(({ run }) => run),
  check: () => import("./check.ts").then(({ check }) => check),
  schema: () => import("./schema.ts").then(({ schema }) => schema),
  status: () => import("./status.ts").then(({ status }) => status),
  tap: () => import("./tap.ts").then(({ tap }) => tap),
  filter: () =>
    Promise.resolve(
      command({
        name: "filter",
        description: "Make, build, test and measure filters; list and change those of a running gateway",
        args: {},
        subCommands: {
          new: () => import("./filter-new.ts").then(({ filterNew }) => filterNew),
          build: () => import("./filter-build.ts").then(({ filterBuild }) => filterBuild),
          test: () => import("./filter-test.ts").then(({ filterTest }) => filterTest),
          bench: () => import("./filter-bench.ts").then(({ filterBench }) => filterBench),
          inspect: () => import("./filter-inspect.ts").then(({ filterInspect }) => filterInspect),
          ls: () => import("./filter-ls.ts").then(({ filterLs }) => filterLs),
          push: () => import("./filter-push.ts").then(({ filterPush }) => filterPush),
          rollback: () => import("./filter-order.ts").then(({ filterOrder }) => filterOrder("rollback")),
          quarantine: () => import("./filter-order.ts").then(({ filterOrder }) => filterOrder("quarantine")),
          log: () => import("./filter-log.ts").then(({ filterLog }) => filterLog),
          profile: () => import("./filter-profile.ts").then(({ filterProfile }) => filterProfile),
          release: () => import("./filter-release.ts").then(({ filterRelease }) => filterRelease),
        },
      }),
    ),
  canary: () =>
    Promise.resolve(
      command({
        name: "canary",
        description: "List the canaries of a running gateway's routes, and steer them",
        args: {},
        subCommands: {
          ls: () => import("./canary-ls.ts").then(({ canaryLs }) => canaryLs),
          ...Object.fromEntries(
            canaryOrders.map((order) => [order, () => import("./canary-order.ts").then(({ canaryOrder }) => canaryOrder(order))]),
          ),
        },
      }),
    ),
  services: () => import("./services.ts").then(({ services }) => services),
  drain: () => import("./drain.ts").then(({ drain }) => drain),
  weights: () => import("./weights.ts").then(({ weights }) => weights),
  config: () =>
    Promise.resolve(
      command({
        name: "config",
        description: "The configurations that were in force in a running gateway: list and compare them, go back to one",
        args: {},
        subCommands: {
          history: () => import("./config-history.ts").then(({ configHistory }) => configHistory),
          diff: () => import("./config-history.ts").then(({ configDiff }) => configDiff),
          rollback: () => import("./config-history.ts").then(({ configRollback }) => configRollback),
        },
      }),
    ),
  log: () =>
    Promise.resolve(
      command({
        name: "log",
        description: "The log of a running gateway",
        args: {},
        subCommands: { level: () => import("./log-level.ts").then(({ logLevel }) => logLevel) },
      }),
    ),
  debug: () =>
    Promise.resolve(
      command({
        name: "debug",
        description: "What helps to find out what is wrong with a running gateway",
        args: {},
        subCommands: { bundle: () => import("./debug-bundle.ts").then(({ debugBundle }) => debugBundle) },
      }),
    ),
  routes: () => import("./routes.ts").then(({ routes }) => routes),
  explain: () => import("./explain.ts").then(({ explain }) => explain),
  top: () => import("./top.ts").then(({ top }) => top),
  completion: () => import("./completion.ts").then(({ completion }) => completion(() => root)),
  version: () => import("./version.ts").then(({ version }) => version),
}

const root: Command = command({
  name: "sluice",
  description: "Service-mesh gateway with hot-loaded WebAssembly filters",
  args: {},
  examples: ["sluice filter new hello", "sluice filter test hello", "sluice check -c sluice.yaml", "sluice run -c sluice.yaml"],
  subCommands: commands,
})

/** Runs the command that `argv` (without program and script) names; resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let current = root
  let path = root.name
  let parent = ""
  const rest = [...argv]
  while (current.subCommands !== undefined && rest.length > 0 && !rest[0].startsWith("-")) {
    const name = rest.shift() as string
    const load = Object.hasOwn(current.subCommands, name) ? current.subCommands[name] : undefined
    if (load === undefined) {
      const known = Object.keys(current.subCommands).join(", ")
      return fail(`${path}: there is no command ${JSON.stringify(name)}; commands are ${known}`)
    }
    current = await load()
    parent = path
    path = `${path} ${name}`
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(await usage(current, parent))
    return 0
  }
  if (current.run === undefined) {
    if (rest.length === 1 && (rest[0] === "--version" || rest[0] === "-v") && current === root) {
      process.stdout.write(`${packageVersion()}\n`)
      return 0
    }
    if (rest.length > 0) return fail(`${path}: unknown option ${rest[0]}; see ${path} --help`)
    process.stdout.write(await usage(current, parent))
    return 2
  }
  try {
    return await current.run(parse(current, rest))
  } catch (error) {
    if (error instanceof UsageError) return fail(`${path}: ${error.message}; see ${path} --help`)
    throw error
  }
}

function fail(text: string): number {
  process.stderr.write(`${text}\n`)
  return 2
}

function parse(current: Command, words: readonly string[]): Readonly<Record<string, string | boolean | undefined>> {
  const definition = current.args as ArgsDef
  const rest = words.map((word, i) => {
    const last = i + 1 === words.length || words[i + 1].startsWith("-")
    return last && current.optionalValue?.some((name) => word === `--${name}`) ? `${word}=default` : word
  })
  const known = new Set<string>()
  let positionals = 0
  for (const [name, arg] of Object.entries(definition)) {
    if (arg.type === "positional") positionals++
    else for (const each of [name, ...aliases(arg)]) known.add(each)
    if (arg.type === "boolean") known.add(`no-${name}`)
  }
  for (const word of rest) {
    if (word === "--") break
    if (!word.startsWith("-") || word === "-") continue
    const name = word.replace(/^-+/, "").replace(/=.*$/s, "")
    if (!known.has(name)) throw new UsageError(`unknown option ${word}`)
  }
  let parsed: Record<string, unknown> & { _: string[] }
  try {
    parsed = parseArgs([...rest], definition)
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.replace(/\.$/, "") : String(error))
  }
  if (parsed._.length > positionals && current.many !== true) throw new UsageError(`one argument too many: ${parsed._[positionals]}`)
  for (const [name, arg] of Object.entries(definition)) {
    if (arg.type === "string" && parsed[name] === "") throw new UsageError(`--${name} needs a value`)
  }
  for (const name of current.repeated ?? []) parsed[`${name}…`] = valuesOf(rest, [name, ...aliases(definition[name])])
  return parsed as unknown as Record<string, string | boolean | undefined>
}

// The parser keeps the last value alone.
function valuesOf(words: readonly string[], names: readonly string[]): string[] {
  const values: string[] = []
  for (let i = 0; i < words.length && words[i] !== "--"; i++) {
    const [, name, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(words[i]) ?? []
    if (name === undefined || !names.includes(name)) continue
    values.push(value ?? words[++i] ?? "")
  }
  return values
}

function aliases(arg: object): readonly string[] {
  const alias = (arg as { alias?: string | string[] }).alias
  return alias === undefined ? [] : typeof alias === "string" ? [alias] : alias
}

async function usage(current: Command, parent: string): Promise<string> {
  const subCommands: Record<string, CommandDef> = {}
  for (const [name, load] of Object.entries(current.subCommands ?? {})) {
    const sub = await load()
    subCommands[name] = { meta: { name, description: sub.description } }
  }
  const definition: CommandDef = {
    meta: { name: current.name, description: current.description, ...(parent === "" ? { version: packageVersion() } : {}) },
    args: current.args as ArgsDef,
    ...(current.subCommands === undefined ? {} : { subCommands }),
  }
  const text = await renderUsage(definition, parent === "" ? undefined : { meta: { name: parent } })
  const examples = current.examples === undefined ? "" : `\nEXAMPLES\n\n${current.examples.map((line) => `  ${line}\n`).join("")}`
  // citty knows no positional that may be repeated, and fills its columns up with spaces.
  const shown = current.many === true ? text.replace(/\[([A-Z]+)\](?=\S*\n)/, "[$1...]") : text
  return `${plain(shown)
    .replace(/[ \t]+$/gm, "")
    .trimEnd()}\n${examples}`
}

// citty colours its text whoever reads it.
function plain(text: string): string {
  const colour = process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === ""
  return colour ? text : stripVTControlCharacters(text)
}
