// `sluice filter build`: compiles a filter written in AssemblyScript into a Proxy-Wasm module.

import { writeFile } from "node:fs/promises"
import { basename, extname } from "node:path"
import { sectionsOf } from "../testing/inspect.ts"
import { formatDiagnostics } from "../testing/loader.ts"
import { FilterCompiler } from "../wasm/compiler.ts"
import { prepareModule } from "../wasm/module.ts"
import { type Command, command, text, UsageError } from "./command.ts"

const MEMORY = 16 * 1024 * 1024

export const filterBuild: Command = command({
  name: "build",
  description: "Compile a filter (AssemblyScript) to WebAssembly; errors are shown with their place in the source",
  args: {
    file: { type: "positional", description: "The filter's source, such as filter.ts", valueHint: "FILE", required: true },
    out: { type: "string", alias: "o", description: "Where to write the module; default: beside the source, as .wasm", valueHint: "FILE" },
    debug: { type: "boolean", description: "Keep names of functions for stack traces, optimise less", default: false },
    report: {
      type: "boolean",
      description: "Show what the module's octets are spent on",
      negativeDescription: "One line",
      default: true,
    },
  },
  examples: [
    "sluice filter build filters/hello/filter.ts",
    "sluice filter build filter.ts -o hello.wasm --no-report",
    "sluice filter build filter.ts --debug",
  ],
  run: async (args) => {
    const file = text(args, "file")
    if (extname(file) !== ".ts") throw new UsageError(`${file} is not a .ts file`)
    const compiler = new FilterCompiler()
    const result = await compiler.compile(file, args.debug === true ? "debug" : "release")
    compiler.close()
    if (!result.ok) {
      process.stderr.write(`${formatDiagnostics(result.diagnostics)}\n`)
      return 1
    }
    for (const { file, line, column, message } of result.warnings) process.stderr.write(`${file}:${line}:${column}: warning: ${message}\n`)
    const prepared = prepareModule(result.wasm, { memory: MEMORY })
    if (!prepared.ok) {
      process.stderr.write(`${file}: ${prepared.reason}\n`)
      return 1
    }
    const out = typeof args.out === "string" ? args.out : file.replace(/\.ts$/, ".wasm")
    await writeFile(out, result.wasm)
    process.stdout.write(
      `${basename(out)}: ${result.wasm.length} octets, Proxy-Wasm ${prepared.abi}, sha256 ${prepared.digest} (${Math.round(result.ms)} ms)\n`,
    )
    if (args.report !== false) process.stdout.write(sizeReport(result.wasm, prepared.info.functions))
    return 0
  },
})

// Where the octets are; what counts for a filter is the code.
function sizeReport(wasm: Uint8Array, functions: number): string {
  let text = ""
  for (const { name, octets } of sectionsOf(wasm)) {
    const share = ((octets / wasm.length) * 100).toFixed(1)
    text += `  ${name.padEnd(24)}${String(octets).padStart(9)} octets${share.padStart(7)} %${name === "code" ? `  ${functions} functions` : ""}\n`
  }
  return text
}
