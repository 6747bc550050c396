// Turns families in the text format of Prometheus into those of OpenMetrics 1.0, for metrics that are kept as text. It knows what
// such texts of ours hold: no timestamps, no exemplars, every family with its type.

/** `text`: whole families. The last line, `# EOF`, is not its matter. */
export function toOpenMetrics(text: string): string {
  const counters = new Set<string>()
  for (const [, name] of text.matchAll(/^# TYPE (\S+) counter$/gm)) counters.add(name)
  let out = ""
  for (const line of text.split("\n")) {
    // No empty lines there.
    if (line === "") continue
    const comment = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line)
    if (comment !== null) {
      const [, what, name, rest] = comment
      const type = what === "TYPE" && rest === "untyped" ? "unknown" : rest
      out += `# ${what} ${counters.has(name) ? family(name) : name} ${type}\n`
      continue
    }
    const name = /^[^{ ]*/.exec(line)?.[0] ?? ""
    out += `${counters.has(name) ? `${family(name)}_total` : name}${line.slice(name.length)}\n`
  }
  return out
}

/** A counter's family goes without the suffix its values have. */
function family(name: string): string {
  return name.endsWith("_total") ? name.slice(0, -"_total".length) : name
}
