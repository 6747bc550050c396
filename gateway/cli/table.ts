// Columns for a person, and what may go to a terminal.

/** A line a row, its cells as wide as the widest of their column. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((cells) => cells[i].length)))
  return rows.map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]))
      .join("  ")
      .trimEnd(),
  )
}

/** Errors of guests and names of others end up in a line: nothing in it may drive a terminal. */
export function printable(line: string): string {
  return line.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (c) => (c === "\n" ? "\n  " : "\ufffd"))
}
