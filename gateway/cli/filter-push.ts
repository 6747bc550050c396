// `sluice filter push`: puts a module into a running gateway, in the place of one of its filters.

import { readFile } from "node:fs/promises"
import { extname } from "node:path"
import { FilterCompiler } from "../wasm/compiler.ts"
import { adminArgument, filterPath, orderAdmin } from "./admin-client.ts"
import { type Command, command, text, UsageError } from "./command.ts"

export const filterPush: Command = command({
  name: "push",
  description: "Try a module in a running gateway and serve it until its file changes or the gateway ends; a .ts file is compiled first",
  args: {
    name: { type: "positional", description: "The filter's name in the gateway's configuration", valueHint: "NAME", required: true },
    file: { type: "positional", description: "The module: a .wasm or .ts file; none with --undo", valueHint: "FILE", required: false },
    version: {
      type: "string",
      description: "Which of the filter's versions it replaces; needed when there are several",
      valueHint: "VERSION",
    },
    undo: { type: "boolean", description: "Go back to the module of the configuration", default: false },
    ...adminArgument,
  },
  examples: ["sluice filter push auth ./auth.ts", "sluice filter push auth ./auth.wasm --version canary", "sluice filter push auth --undo"],
  run: async (args) => {
    const undo = args.undo === true
    if (!undo && args.file === undefined) throw new UsageError("say which module: a .wasm or .ts file, or --undo")
    const file = undo ? null : text(args, "file")
    const query = typeof args.version === "string" ? `?version=${encodeURIComponent(args.version)}` : ""
    const body = file === null ? null : await moduleOf(file)
    if (typeof body === "string") {
      process.stderr.write(`${body}\n`)
      return 1
    }
    return orderAdmin(
      args,
      `${filterPath(text(args, "name"))}/module${query}`,
      body === null ? { method: "DELETE" } : { method: "PUT", body },
    )
  },
})

/** The module's octets, or what is wrong with it. */
async function moduleOf(file: string): Promise<Uint8Array | string> {
  if (extname(file) !== ".ts") {
    try {
      return await readFile(file)
    } catch (error) {
      return `${file} can't be read: ${(error as Error).message}`
    }
  }
  const compiler = new FilterCompiler()
  const compiled = await compiler.compile(file)
  compiler.close()
  if (compiled.ok) return compiled.wasm
  return compiled.diagnostics
    .map((each) => `${each.file}:${each.line}:${each.column}: ${each.message}${each.excerpt === "" ? "" : `\n${each.excerpt}`}`)
    .join("\n")
}
