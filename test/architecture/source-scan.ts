// Reads just enough of a TypeScript source to know what it imports and which names its code mentions: comments and the
// contents of strings are told apart from code, nothing else is understood.

export interface Reference {
  /** As written; of a template literal the part before its first `${`. */
  readonly specifier: string
  /** `import`: static, dynamic or re-export. `url`: `new URL(x, import.meta.url)`, a worker's or a child's script. */
  readonly kind: "import" | "url"
  /** From 1. */
  readonly line: number
}

export interface ScannedSource {
  /** The source with comments and the contents of strings, templates and regular expressions as spaces. Same length. */
  readonly code: string
  readonly references: readonly Reference[]
}

/** After one of these a `/` starts a regular expression; after anything else it divides. */
const beforeRegex = /(?:^|[([{},;:=!&|?+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield))\s*$/

export function scanSource(source: string): ScannedSource {
  const code = source.split("")
  const literals = new Map<number, string>()
  /** Braces open in each template literal we are inside of. */
  const templates: number[] = []
  let at = 0

  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (code[i] !== "\n") code[i] = " "
  }
  const template = (start: number): void => {
    // From after a backtick, or after the `}` that ends a placeholder, to the next `${` or the closing backtick.
    let i = start
    while (i < source.length && source[i] !== "`" && !(source[i] === "$" && source[i + 1] === "{")) i += source[i] === "\\" ? 2 : 1
    blank(start, Math.min(i, source.length))
    if (source[start - 1] === "`") literals.set(start - 1, source.slice(start, i))
    if (source[i] === "$") {
      templates.push(0)
      at = i + 2
    } else {
      at = i + 1
    }
  }

  while (at < source.length) {
    const char = source[at]
    const next = source[at + 1]
    if (char === "/" && next === "/") {
      const end = source.indexOf("\n", at)
      const stop = end < 0 ? source.length : end
      blank(at, stop)
      at = stop
    } else if (char === "/" && next === "*") {
      const end = source.indexOf("*/", at + 2)
      const stop = end < 0 ? source.length : end + 2
      blank(at, stop)
      at = stop
    } else if (char === '"' || char === "'") {
      let i = at + 1
      while (i < source.length && source[i] !== char && source[i] !== "\n") i += source[i] === "\\" ? 2 : 1
      literals.set(at, source.slice(at + 1, i))
      blank(at + 1, Math.min(i, source.length))
      at = i + 1
    } else if (char === "`") {
      template(at + 1)
    } else if (templates.length > 0 && char === "{") {
      templates[templates.length - 1]++
      at++
    } else if (templates.length > 0 && char === "}") {
      if (templates[templates.length - 1] === 0) {
        templates.pop()
        template(at + 1)
      } else {
        templates[templates.length - 1]--
        at++
      }
    } else if (char === "/" && beforeRegex.test(code.slice(Math.max(0, at - 80), at).join(""))) {
      let i = at + 1
      let inClass = false
      while (i < source.length && source[i] !== "\n" && (inClass || source[i] !== "/")) {
        if (source[i] === "\\") i++
        else if (source[i] === "[") inClass = true
        else if (source[i] === "]") inClass = false
        i++
      }
      blank(at + 1, Math.min(i, source.length))
      at = i + 1
    } else {
      at++
    }
  }

  const blanked = code.join("")
  return { code: blanked, references: referencesOf(blanked, literals) }
}

function referencesOf(code: string, literals: ReadonlyMap<number, string>): Reference[] {
  const found: (Reference & { at: number })[] = []
  const patterns = [
    // `… from "x"` and `import "x"`, `import("x")`; the type form `import("x").Name` is the same text.
    { kind: "import" as const, pattern: /\bfrom\s*(?=["'])/g },
    { kind: "import" as const, pattern: /\bimport\s*(?:\(\s*)?(?=["'`])/g },
    { kind: "url" as const, pattern: /\bnew\s+URL\(\s*(?=["'`])/g },
  ]
  for (const { kind, pattern } of patterns) {
    for (const match of code.matchAll(pattern)) {
      const at = match.index + match[0].length
      const specifier = literals.get(at)
      if (specifier === undefined) continue
      if (kind === "url" && !specifier.startsWith(".")) continue
      found.push({ specifier, kind, line: code.slice(0, at).split("\n").length, at })
    }
  }
  return found.sort((a, b) => a.at - b.at).map(({ specifier, kind, line }) => ({ specifier, kind, line }))
}

/** Lines (from 1) on which the code, not its comments or strings, has `pattern`. */
export function linesWith(scanned: ScannedSource, pattern: RegExp): number[] {
  const lines: number[] = []
  for (const [index, line] of scanned.code.split("\n").entries()) if (pattern.test(line)) lines.push(index + 1)
  return lines
}
