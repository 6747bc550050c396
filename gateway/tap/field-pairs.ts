// Takes fields apart that were kept as text, when an exchange turns out to be one that is told of: most are not, and pay nothing for it.

/** Name, value, name, value … of lines `name: value CRLF`, as {@link Fields.serialize} makes them. */
export function fieldPairs(lines: string): string[] {
  const pairs: string[] = []
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf("\r\n", start)
    const colon = lines.indexOf(": ", start)
    if (end === -1 || colon === -1) return pairs
    pairs.push(lines.slice(start, colon), lines.slice(colon + 2, end))
    start = end + 2
  }
  return pairs
}
