import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Command, command } from "../../../gateway/cli/command.ts"
import { type DescribedCommand, describeCommands } from "../../../gateway/cli/command-tree.ts"
import { completionScript } from "../../../gateway/cli/completion-scripts.ts"

const file = { type: "string", alias: "c", description: "It's a file", valueHint: "FILE" } as const
const root: Command = command({
  name: "sluice",
  description: "All",
  args: {},
  subCommands: {
    run: async () =>
      command({ name: "run", description: "Run it", args: { config: file, watch: { type: "boolean", description: "Watch" } } }),
    tap: async () =>
      command({
        name: "tap",
        description: "See: all",
        args: {
          route: { type: "string", description: "Route", valueHint: "ROUTE" },
          path: { type: "string", description: "Path", valueHint: "PATH" },
        },
      }),
    filter: async () =>
      command({
        name: "filter",
        description: "Filters",
        args: {},
        subCommands: {
          push: async () =>
            command({ name: "push", description: "Push", args: { name: { type: "positional", description: "Name", valueHint: "NAME" } } }),
        },
      }),
    say: async () =>
      command({ name: "say", description: "Say", args: { word: { type: "enum", description: "Word", options: ["yes", "no"] } } }),
  },
})

const folder = mkdtempSync(join(tmpdir(), "sluice-completion-"))
const script = join(folder, "script")
let commands: readonly DescribedCommand[]

beforeAll(async () => {
  commands = await describeCommands(root)
  writeFileSync(script, completionScript("bash", commands))
  writeFileSync(join(folder, "some-file"), "")
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function has(shell: string): boolean {
  return spawnSync(shell, ["-c", "exit 0"]).status === 0
}

/** What bash completes behind these words; the last one is being typed. */
function complete(words: readonly string[], names = "printf 'api\\napi two\\n$(touch ${folder}/evaluated)\\nother\\n'"): string[] {
  const quoted = words.map((word) => `'${word}'`).join(" ")
  const { stdout, stderr, status } = spawnSync(
    "bash",
    [
      "--norc",
      "-c",
      `cd '${folder}'; . ./script; sluice() { [[ "$*" == "completion names "* ]] && ${names.replace("${folder}", folder)}; }
       COMP_WORDS=(sluice ${quoted}); COMP_CWORD=${words.length}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ],
    { encoding: "utf8" },
  )
  expect([status, stderr]).toEqual([0, ""])
  return stdout.split("\n").filter((line) => line !== "")
}

describe.skipIf(!has("bash"))("the completion of bash (skipped: needs bash)", () => {
  test("is a script without a mistake of syntax", () => {
    const { status, stderr } = spawnSync("bash", ["-n", script], { encoding: "utf8" })
    expect([status, stderr]).toEqual([0, ""])
  })

  test.each<[string, readonly string[], readonly string[]]>([
    ["commands", [""], ["run", "tap", "filter", "say"]],
    ["commands below", ["filter", "p"], ["push"]],
    ["options", ["run", "--"], ["--config", "--watch", "--help"]],
    ["options with one dash", ["run", "-"], ["--config", "-c", "--watch", "--help", "-h"]],
    ["files", ["run", "-c", "some"], ["some-file"]],
    ["files behind =", ["run", "--config", "=", "some"], ["some-file"]],
    ["words", ["say", "--word", "y"], ["yes"]],
    ["nothing where anything may stand", ["tap", "--path", ""], []],
  ])("offers %s", (_, words, offered) => {
    expect(complete(words)).toEqual(offered)
  })

  test("offers what a running gateway names, and evaluates nothing of it", () => {
    expect(complete(["tap", "--route", "a"])).toEqual(["api", "api\\ two"])
    expect(complete(["tap", "--route", "=", "o"])).toEqual(["other"])
    expect(complete(["filter", "push", "$"])).toHaveLength(1)
    expect(existsSync(join(folder, "evaluated"))).toBe(false)
    expect(complete(["tap", "--route", ""], "false")).toEqual([])
  })
})

test("scripts of all shells have all commands, and texts that end no quotation", () => {
  const zsh = completionScript("zsh", commands)
  expect(zsh).toContain("'--config:It'\\''s a file'")
  expect(zsh).toContain("list=('run:Run it' 'tap:See: all' 'filter:Filters' 'say:Say')")
  const fish = completionScript("fish", commands)
  expect(fish).toContain("complete -c sluice -n '__sluice_at \" run\"' -l config -s c -r -F -d 'It\\'s a file'")
  expect(fish).toContain("complete -c sluice -n '__sluice_at \" filter push\"' -a '(sluice completion names filters 2>/dev/null)'")
  for (const [shell, text] of [
    ["zsh", zsh],
    ["fish", fish],
  ]) {
    if (!has(shell)) continue
    writeFileSync(join(folder, shell), text)
    expect([shell, spawnSync(shell, ["-n", join(folder, shell)], { encoding: "utf8" }).stderr]).toEqual([shell, ""])
  }
})
