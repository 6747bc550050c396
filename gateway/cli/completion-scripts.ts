// Completion scripts for shells, made of all commands. What a running gateway names is asked of it when it is wanted; nothing of it is
// ever evaluated by the shell.

import type { DescribedCommand, DescribedOption, ValueKind } from "./command-tree.ts"

export type Shell = "bash" | "zsh" | "fish"

export function completionScript(shell: Shell, commands: readonly DescribedCommand[]): string {
  if (shell === "fish") return fish(commands)
  return shell === "bash" ? bash(commands) : zsh(commands)
}

/** ` filter push`: how scripts know a command. */
function keyOf(path: readonly string[]): string {
  return path.map((name) => ` ${name}`).join("")
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function spelled({ names }: DescribedOption): string[] {
  return names.map((name) => (name.length === 1 ? `-${name}` : `--${name}`))
}

/** Branches of a `case` that find which command the words so far name. */
function commandBranches(commands: readonly DescribedCommand[]): string {
  return commands
    .filter(({ path }) => path.length > 0)
    .map(({ path }) => quoted(keyOf(path)))
    .join("|")
}

/** Branches of a `case` over command and option: what may stand behind it. */
function valueBranches(commands: readonly DescribedCommand[], action: (kind: ValueKind) => string): string {
  return commands
    .flatMap(({ path, options }) =>
      options
        .filter(({ value }) => value !== "none")
        .map(
          (option) =>
            `      ${spelled(option)
              .map((name) => quoted(`${keyOf(path)} ${name}`))
              .join("|")}) ${action(option.value)}; return ;;`,
        ),
    )
    .join("\n")
}

function bash(commands: readonly DescribedCommand[]): string {
  const action = (kind: ValueKind): string => {
    if (kind === "file") return "_sluice_files"
    if (kind === "any" || kind === "none") return ":"
    return typeof kind === "string" ? `_sluice_names ${kind}` : `_sluice_words ${kind.map(quoted).join(" ")}`
  }
  const options = commands.map(
    (command) => `      ${quoted(keyOf(command.path))}) _sluice_words ${command.options.flatMap(spelled).map(quoted).join(" ")} ;;`,
  )
  const below = commands.map((command) => {
    const actions = [...command.commands.map(({ name }) => name)]
    const words = actions.length === 0 ? [] : [`_sluice_words ${actions.map(quoted).join(" ")}`]
    return `    ${quoted(keyOf(command.path))}) ${[...words, ...argumentActions(command, action)].join("; ") || ":"} ;;`
  })
  return `# Completion of sluice for bash. To have it always: sluice completion bash > ~/.local/share/bash-completion/completions/sluice

_sluice_words() {
  local word
  for word in "$@"; do [[ $word == "$cur"* ]] && COMPREPLY+=("$word"); done
}

# Of what a running gateway's configuration names.
_sluice_names() {
  local name
  while IFS= read -r name; do
    [[ $name == "$cur"* ]] && COMPREPLY+=("$(printf %q "$name")")
  done < <(sluice completion names "$1" 2>/dev/null)
}

_sluice_files() {
  local file
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$cur")
  compopt -o filenames 2>/dev/null
}

_sluice() {
  COMPREPLY=()
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at= word i
  # bash takes \`--option=value\` apart.
  if [[ $cur == "=" ]]; then cur=; elif [[ $prev == "=" ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$at $word" in
      ${commandBranches(commands)}) at="$at $word" ;;
    esac
  done
  case "$at $prev" in
${valueBranches(commands, action)}
  esac
  if [[ $cur == -* ]]; then
    case "$at" in
${options.join("\n")}
    esac
    return
  fi
  case "$at" in
${below.join("\n")}
  esac
}

complete -F _sluice sluice
`
}

/** What arguments may be: any of them, wherever they stand. */
function argumentActions(command: DescribedCommand, action: (kind: ValueKind) => string): string[] {
  return [...new Set(command.arguments.map(action))].filter((each) => each !== ":")
}

function zsh(commands: readonly DescribedCommand[]): string {
  const action = (kind: ValueKind): string => {
    if (kind === "file") return "_files"
    if (kind === "any" || kind === "none") return ":"
    return typeof kind === "string" ? `_sluice_names ${kind}` : `compadd -- ${kind.map(quoted).join(" ")}`
  }
  const entry = (name: string, description: string): string => quoted(`${name.replaceAll(":", "\\:")}:${description.replaceAll("\n", " ")}`)
  const options = commands.map((command) => {
    const entries = command.options.flatMap((option) => spelled(option).map((name) => entry(name, option.description)))
    return `      ${quoted(keyOf(command.path))}) list=(${entries.join(" ")}) ;;`
  })
  const below = commands.map((command) => {
    const entries = command.commands.map(({ name, description }) => entry(name, description))
    const shown = entries.length === 0 ? [] : [`list=(${entries.join(" ")})`, "_describe command list"]
    return `    ${quoted(keyOf(command.path))}) ${[...shown, ...argumentActions(command, action)].join("; ") || ":"} ;;`
  })
  return `#compdef sluice
# Completion of sluice for zsh. To have it always: sluice completion zsh > "\${fpath[1]}/_sluice"

# Of what a running gateway's configuration names.
_sluice_names() {
  local -a names
  # Quoted as a whole, no name at all would be one without a letter, and complete to a space.
  names=(\${(f)"$(sluice completion names $1 2>/dev/null)"})
  compadd -a names
}

_sluice() {
  local cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} at= word
  local -a list
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      ${commandBranches(commands)}) at="$at $word" ;;
    esac
  done
  if [[ $cur == --*=* ]]; then
    prev=\${cur%%=*}
    compset -P '*='
  fi
  case "$at $prev" in
${valueBranches(commands, action)}
  esac
  if [[ $cur == -* ]]; then
    case "$at" in
${options.join("\n")}
    esac
    _describe -o option list
    return
  fi
  case "$at" in
${below.join("\n")}
  esac
}

if [[ \${funcstack[1]} == _sluice ]]; then
  _sluice "$@"
else
  # Sourced by a shell that completes nothing yet.
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
  compdef _sluice sluice
fi
`
}

function fish(commands: readonly DescribedCommand[]): string {
  const text = (value: string): string => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", " ")}'`
  const value = (kind: ValueKind): string => {
    if (kind === "none") return ""
    if (kind === "file") return " -r -F"
    if (kind === "any") return " -x"
    return ` -x -a ${text(typeof kind === "string" ? `(sluice completion names ${kind} 2>/dev/null)` : kind.join(" "))}`
  }
  const lines = commands.flatMap((command) => {
    const when = `complete -c sluice -n ${text(`__sluice_at "${keyOf(command.path)}"`)}`
    return [
      ...command.commands.map(({ name, description }) => `${when} -a ${text(name)} -d ${text(description)}`),
      ...command.options.map((option) => {
        const names = option.names.map((name) => (name.length === 1 ? `-s ${name}` : `-l ${name}`)).join(" ")
        return `${when} ${names}${value(option.value)} -d ${text(option.description)}`
      }),
      ...new Set(command.arguments.filter((kind) => kind !== "any").map((kind) => `${when}${value(kind).replace(/ -[rx]/, "")}`)),
    ]
  })
  return `# Completion of sluice for fish. To have it always: sluice completion fish > ~/.config/fish/completions/sluice.fish

# Whether the words so far name this command.
function __sluice_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        switch "$at $word"
            case ${commands
              .filter(({ path }) => path.length > 0)
              .map(({ path }) => text(keyOf(path)))
              .join(" ")}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end

complete -c sluice -f
${lines.join("\n")}
`
}
