import { posix } from "node:path"
import { describe, expect, test } from "vitest"
import { readRepositoryFile, repositoryFiles } from "./repository.ts"

const files = repositoryFiles()

/** Paths named in the code spans of a Markdown text: what has a slash inside, ends with one, or ends with `.ts`. */
function namedPaths(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "")
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1])
  return [...new Set(spans.filter((span) => /^[a-z0-9][\w.-]*(\/[\w.-]*)*$/i.test(span) && (span.includes("/") || span.endsWith(".ts"))))]
}

/** A path as a document beside `folder` may write it: from that folder or from the root; a folder, a file, or a `.ts` file without its ending. */
function exists(path: string, folder: string): boolean {
  const bare = path.replace(/\/$/, "")
  return [`${folder}/${bare}`, bare].some((candidate) =>
    files.some((file) => file === candidate || file === `${candidate}.ts` || file.startsWith(`${candidate}/`)),
  )
}

/** Links of a Markdown text to places in the repository. */
function links(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "")
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]).filter((link) => !/^[a-z]+:/.test(link))
}

/** Anchors of a document's headings, as GitHub makes them. */
function anchors(document: string): string[] {
  const prose = readRepositoryFile(document).replace(/^```[\s\S]*?^```/gm, "")
  return [...prose.matchAll(/^#{1,6} (.+)$/gm)].map((match) =>
    match[1]
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  )
}

/** Whether a link in `document` leads to a file or folder, and to a heading of it if it names one. */
function leads(link: string, document: string): boolean {
  const [path, anchor] = link.split("#")
  const target = path === "" ? document : posix.join(posix.dirname(document), path).replace(/\/$/, "")
  if (!files.some((file) => file === target || file.startsWith(`${target}/`))) return false
  return anchor === undefined || (target.endsWith(".md") && anchors(target).includes(anchor))
}

describe("documents", () => {
  test.each(["gateway/README.md", "gateway/TRAFFIC.md"])("%s names paths that exist", (document) => {
    const named = namedPaths(readRepositoryFile(document))
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter((path) => !exists(path, "gateway"))).toEqual([])
  })

  test("links lead to files and headings that exist", () => {
    const documents = files.filter((path) => path.endsWith(".md"))
    const broken = documents.flatMap((document) =>
      links(readRepositoryFile(document))
        .filter((link) => !leads(link, document))
        .map((link) => `${document}: ${link}`),
    )
    expect(broken).toEqual([])
    expect([leads("#life-of-a-request", "gateway/README.md"), leads("TRAFFIC.md#limits", "gateway/README.md")]).toEqual([true, true])
    expect([leads("#no-such-heading", "gateway/README.md"), leads("../TRAFFIC.md", "gateway/README.md")]).toEqual([false, false])
  })

  test.each(["README.md", "gateway/README.md", "gateway/TRAFFIC.md"])("%s names metrics that exist", (document) => {
    const sources = files.filter((path) => /^gateway\/.*\.ts$/.test(path)).map(readRepositoryFile)
    const named = [...new Set(readRepositoryFile(document).match(/\bsluice_[a-z0-9_]+[a-z0-9]\b/g))]
    expect(named.filter((name) => !sources.some((source) => source.includes(name)))).toEqual([])
  })

  // So that two of them can run at a time.
  test("of examples name an admin address of their own, and no two have the same", () => {
    const port = (file: string): string | undefined => /^admin:.*127\.0\.0\.1:(\d+)/m.exec(readRepositoryFile(file))?.[1]
    const examples = files.filter((path) => /^examples\/[^/]+\/sluice\.yaml$/.test(path))
    const ports = examples.map(port).filter((each) => each !== undefined)
    expect(ports.length).toBeGreaterThan(10)
    expect(ports.filter((each, i) => ports.indexOf(each) !== i)).toEqual([])
    for (const example of examples) {
      const readme = readRepositoryFile(example.replace("sluice.yaml", "README.md"))
      for (const [named] of readme.matchAll(/\b99\d\d\b/g)) expect([example, named]).toEqual([example, port(example)])
    }
  })

  test("a path that does not exist is noticed", () => {
    expect(namedPaths("`errors.ts`, `http1/` and `proxy/exchange` but not `npm test`, `GET /x` or `config`")).toEqual([
      "errors.ts",
      "http1/",
      "proxy/exchange",
    ])
    expect([exists("errors.ts", "gateway"), exists("http/fields", "gateway"), exists("http/", "gateway")]).toEqual([true, true, true])
    expect([exists("errors2.ts", "gateway"), exists("http/field", "gateway")]).toEqual([false, false])
  })
})

/** Written in parts, so that this file does not find itself. */
const forbidden: readonly (readonly [what: string, pattern: RegExp])[] = [
  ["a path outside the repository", new RegExp(["\\.\\./", "shared/"].join(""))],
  ["work left open", new RegExp(`\\b(?:${["TO", "DO"].join("")}|${["FIX", "ME"].join("")}|${["X", "XX"].join("")})\\b`)],
]
const text = /\.(?:ts|mts|js|mjs|json|md|ya?ml|sh|txt)$|^\.ci\/run$/

describe("sources", () => {
  for (const [what, pattern] of forbidden) {
    test(`contain no ${what}`, () => {
      const found = files
        .filter((path) => text.test(path) && path !== "package-lock.json")
        .filter((path) => pattern.test(readRepositoryFile(path)))
      expect(found).toEqual([])
    })
  }

  test("are named for what they hold", () => {
    const shapeless = /(?:^|\/)(?:utils?|helpers?|common|misc)\.ts$/
    expect(files.filter((path) => shapeless.test(path) && !path.startsWith("test/conformance/"))).toEqual([])
    const notKebab = files.filter((path) => /^(?:gateway|sdk|test|scripts)\/.*\.ts$/.test(path) && !/^[a-z0-9./-]+$/.test(path))
    expect(notKebab).toEqual([])
  })

  test("have no default exports in gateway/ and sdk/", () => {
    const found = files.filter((path) => /^(?:gateway|sdk)\/.*\.ts$/.test(path) && /^export default\b/m.test(readRepositoryFile(path)))
    expect(found).toEqual([])
  })
})
