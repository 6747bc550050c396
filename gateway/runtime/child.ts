// How a script of ours is started as a child process on the runtime this program is on.

/**
 * Command and arguments that run `script` with at most `heapMegabytes` of heap where the runtime can be told so. `allow`:
 * what it may do where the runtime can hold it to that; `read` is files and the environment.
 */
export function childCommand(
  script: string,
  heapMegabytes: number,
  allow: "read" | "all",
): { readonly command: string; readonly args: string[] } {
  const { versions, execPath } = process
  if (versions.bun !== undefined) return { command: execPath.replace(/bunx(\.exe)?$/, "bun$1"), args: ["run", script] }
  if (versions.deno === undefined) return { command: execPath, args: [`--max-old-space-size=${heapMegabytes}`, script] }
  const permissions = allow === "all" ? ["-A"] : ["--no-prompt", "--allow-read", "--allow-env", "--allow-sys"]
  return { command: execPath, args: ["run", "--quiet", ...permissions, `--v8-flags=--max-old-space-size=${heapMegabytes}`, script] }
}

/** Name and version of the runtime. */
export function runtimeName(): string {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>
  return bun !== undefined ? `bun ${bun}` : deno !== undefined ? `deno ${deno}` : `node ${node}`
}
