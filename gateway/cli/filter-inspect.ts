// `sluice filter inspect`: what a module is, what it wants of the gateway, and what it may do.

import { type Inspection, inspect } from "../testing/inspect.ts"
import { FilterLoadError, FilterLoader, findFilter } from "../testing/loader.ts"
import { type Command, command, text } from "./command.ts"

export const filterInspect: Command = command({
  name: "inspect",
  description: "Show what a filter is: ABI, phases, host calls, memory, size, and what it may do by its manifest",
  args: {
    file: { type: "positional", description: "A module (.wasm), a source (.ts) or a filter's folder", valueHint: "FILE", required: true },
    json: { type: "boolean", description: "Print JSON", default: false },
  },
  examples: ["sluice filter inspect filters/jwt-auth", "sluice filter inspect plugin.wasm --json"],
  run: async (args) => {
    const loader = new FilterLoader()
    try {
      const place = findFilter(text(args, "file"))
      const { module, bytes } = await loader.load(place)
      const found = await inspect(place, module, bytes)
      process.stdout.write(args.json === true ? `${JSON.stringify(found, null, 2)}\n` : `${describe(found)}\n`)
      return 0
    } catch (error) {
      if (!(error instanceof FilterLoadError)) throw error
      process.stderr.write(`${error.message}\n`)
      return 1
    } finally {
      loader.close()
    }
  },
})

function describe(found: Inspection): string {
  const lines: [string, string][] = [
    ["filter", `${found.name}  ${found.file}`],
    ["sha256", found.digest],
    ["ABI", `Proxy-Wasm ${found.abi}`],
    [
      "size",
      `${octets(found.octets)}, ${found.functions} functions (${found.sections.map((each) => `${each.name} ${octets(each.octets)}`).join(", ")})`,
    ],
    ["metered", `${octets(found.metered.octets)}, ${found.metered.charges} charges`],
    [
      "memory",
      `${octets(found.memory.minimum)} at the start, ${found.memory.maximum === null ? "no maximum of its own" : `at most ${octets(found.memory.maximum)}`}`,
    ],
    ["phases", words(found.phases)],
    ["host calls", words(found.hostCalls)],
  ]
  if (found.wasi.length > 0) lines.push(["WASI", words(found.wasi)])
  if (found.unknownImports.length > 0) lines.push(["unknown", `${words(found.unknownImports)}: calls of these answer "unimplemented"`])
  lines.push(["without config", found.startsEmpty === "" ? "starts" : `does not start: ${found.startsEmpty}`])
  const { permissions } = found
  if (permissions === null) lines.push(["may", "everything: it has no manifest (filter.json)"])
  else {
    lines.push(["may call", granted(permissions.services)], ["may read", granted(permissions.headers.read)])
    lines.push(["may write", granted(permissions.headers.write)], ["may share", granted(permissions.shared)])
    lines.push(["may use", permissions.hostCalls === "*" ? "every host call" : words(permissions.hostCalls)])
  }
  return lines.map(([name, value]) => `${name.padEnd(16)}${wrap(value)}`).join("\n")
}

function granted(value: "*" | readonly string[]): string {
  return value === "*" ? "everything" : words(value)
}

function words(list: readonly string[]): string {
  return list.length === 0 ? "none" : list.join(", ")
}

const WIDTH = 100

// Continues below the first line's value.
function wrap(value: string): string {
  const lines = [""]
  for (const word of value.split(" ")) {
    const last = lines[lines.length - 1]
    if (last !== "" && last.length + word.length > WIDTH) lines.push(word)
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`
  }
  return lines.join(`\n${" ".repeat(16)}`)
}

function octets(n: number): string {
  return n < 10_000 ? `${n} octets` : n < 1024 * 1024 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1024 / 1024).toFixed(1)} MiB`
}
