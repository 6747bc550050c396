// `sluice filter build`: compiles a filter written in AssemblyScript into a Proxy-Wasm module.

import { writeFile } from "node:fs/promises"
import { basename, extname } from "node:path"
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
    debug: { type: "boolean", description: "Keep names and assertions, optimise less", default: false },
  },
  examples: ["sluice filter build filters/hello/filter.ts", "sluice filter build filter.ts -o hello.wasm"],
  run: async (args) => {
    const file = text(args, "file")
    if (extname(file) !== ".ts") throw new UsageError(`${file} is not a .ts file`)
    const compiler = new FilterCompiler()
    const result = await compiler.compile(file, args.debug === true ? "debug" : "release")
    compiler.close()
    if (!result.ok) {
      for (const { file, line, column, message, excerpt } of result.diagnostics) {
        process.stderr.write(`${file}:${line}:${column}: ${message}\n${excerpt === "" ? "" : `${excerpt}\n`}`)
      }
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
    return 0
  },
})
