// What the shells themselves complete with our scripts: lines are typed into a terminal of bash and zsh, and fish is asked. Not a matter
// of the runtime: once is enough.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runCli } from "../support/gateway.ts"
import { program, runProgram } from "../support/programs.ts"

const here = (process.env.SLUICE_RUNTIME ?? "node") === "node"
/** Has terminals, too, to type into. */
const zsh = here ? program("zsh") : null
const fish = here ? program("fish") : null
const bash = here && zsh !== null ? program("bash") : null

const folder = mkdtempSync(join(tmpdir(), "sluice-shells-"))

// A gateway that tells routes and services, and is away when it is asked for anything else.
const SLUICE = `#!/bin/sh
[ "$1 $2" = "completion names" ] || exit 1
case "$3" in
routes) printf '%s\\n' api api/two shop.v2 ;;
services) printf 'cart\\npay\\n' ;;
*) echo "no gateway" >&2; exit 1 ;;
esac
`

/** Types each line of its input, a tab, and a key that has the shell print its line; that is what it prints. */
const TYPE = `
zmodload zsh/zpty
zpty shell "$1"
zpty -w shell "$(<$2)"
zpty -r shell out '*READY*'
while IFS= read -r line; do
  zpty -w -n shell "$line"$'\\t\\a'
  zpty -r shell out '*<<*>>*'
  print -r -- "\${\${out##*<<}%%>>*}"
done
zpty -d shell
`

const SETUP = {
  bash: `PS1= PS2=; cd ${folder}; bind "set enable-bracketed-paste off"; . ./bash
report() { printf '<<%s>>\\n' "$READLINE_LINE"; READLINE_LINE= READLINE_POINT=0; }; bind -x '"\\C-g": report'; echo RE""ADY`,
  zsh: `PS1= PS2= RPS1=; unsetopt prompt_cr prompt_sp zle_bracketed_paste 2>/dev/null; cd ${folder}; fpath=(${folder}/functions $fpath); autoload -Uz compinit; compinit -u -D
bindkey '^I' complete-word; report() { print -r -- "<<$BUFFER>>"; BUFFER=; }; zle -N report; bindkey '^G' report; echo RE""ADY`,
}

beforeAll(async () => {
  if (!here) return
  writeFileSync(join(folder, "sluice"), SLUICE, { mode: 0o755 })
  writeFileSync(join(folder, "type.zsh"), TYPE)
  writeFileSync(join(folder, "edge.yaml"), "")
  mkdirSync(join(folder, "functions"))
  const scripts = ["bash", "functions/_sluice", "fish"]
  const printed = await Promise.all(["bash", "zsh", "fish"].map((shell) => runCli(["completion", shell], { limit: 60_000 })))
  for (const [i, { code, stdout }] of printed.entries()) {
    expect(code).toBe(0)
    writeFileSync(join(folder, scripts[i]), stdout)
  }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const environment = { ...process.env, PATH: `${folder}:${process.env.PATH}`, TERM: "dumb", HOME: folder }

/** Lines, and what becomes of them when the tab key is pressed behind them. */
const LINES: readonly [typed: string, completed: string][] = [
  ["sluice filter pus", "sluice filter push "],
  ["sluice tap --rou", "sluice tap --route "],
  ["sluice tap --route sh", "sluice tap --route shop.v2 "],
  ["sluice tap --route=sh", "sluice tap --route=shop.v2 "],
  ["sluice tap --route api/", "sluice tap --route api/two "],
  ["sluice tap --route api --service=ca", "sluice tap --route api --service=cart "],
  ["sluice run -c edg", "sluice run -c edge.yaml "],
  ["sluice run --config=edge.y", "sluice run --config=edge.yaml "],
  ["sluice drain pa", "sluice drain pay "],
  ["sluice log level deb", "sluice log level debug "],
  ["sluice completion z", "sluice completion zsh "],
  // Nobody says what there is.
  ["sluice tap --listener ", "sluice tap --listener "],
  ["sluice tap --path ", "sluice tap --path "],
]

async function typed(shell: "bash" | "zsh", command: string): Promise<string[]> {
  writeFileSync(join(folder, `setup-${shell}`), SETUP[shell])
  const input = Buffer.from(LINES.map(([line]) => `${line}\n`).join(""))
  const args = ["-f", join(folder, "type.zsh"), command, join(folder, `setup-${shell}`)]
  const { stdout } = await runProgram(zsh as string, args, { input, env: environment })
  return stdout.toString().split("\n").slice(0, -1)
}

describe("completion", () => {
  test.skipIf(bash === null)("works in bash (skipped: needs bash and zsh)", async () => {
    expect(await typed("bash", `exec ${bash} --norc --noprofile -i`)).toEqual(LINES.map(([, line]) => line))
  })

  test.skipIf(zsh === null)("works in zsh (skipped: needs zsh)", async () => {
    expect(await typed("zsh", `exec ${zsh} -f -i`)).toEqual(LINES.map(([, line]) => line))
  })

  test.skipIf(zsh === null)("is there in a zsh that sources it before anything else (skipped: needs zsh)", async () => {
    const { stdout, stderr } = await runProgram(zsh as string, ["-f", "-c", ". functions/_sluice; print -r -- $_comps[sluice]"], {
      env: environment,
      cwd: folder,
    })
    expect([stdout.toString(), stderr]).toEqual(["_sluice\n", ""])
  })

  test.skipIf(fish === null)("works in fish (skipped: needs fish)", async () => {
    const ask = LINES.map(([line]) => `complete -C '${line}' | string replace -r '\\t.*' ''; echo ==`).join("; ")
    const { stdout, stderr } = await runProgram(fish as string, ["--no-config", "-c", `source fish; ${ask}`], {
      env: environment,
      cwd: folder,
    })
    const offered = (line: string, completed: string): string => (line === completed ? "" : `${completed.trimEnd().split(" ").at(-1)}\n`)
    expect([stdout.toString(), stderr]).toEqual([LINES.map(([line, completed]) => `${offered(line, completed)}==\n`).join(""), ""])
  })
})
