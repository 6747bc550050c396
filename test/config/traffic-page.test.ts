// What gateway/TRAFFIC.md says to write is taken as it stands there.

import { describe, expect, test } from "vitest"
import { parseConfig } from "../../gateway/config/load.ts"
import { formatProblems } from "../../gateway/config/problem.ts"
import { readRepositoryFile } from "../architecture/repository.ts"

/** Rows of the table `I want to … | in | write this`: the wish, the places, and the pieces in code spans. */
function rows(): { wish: string; places: string[]; pieces: string[] }[] {
  const page = readRepositoryFile("gateway/TRAFFIC.md")
  const table = page.slice(page.indexOf("\n## I want to"), page.indexOf("\n## ", page.indexOf("\n## I want to") + 1))
  const lines = table.split("\n").filter((line) => line.startsWith("| "))
  return lines.slice(1).map((line) => {
    const [, wish, places, written] = line.split("|").map((cell) => cell.trim())
    return { wish, places: places.split(", "), pieces: [...written.matchAll(/`([^`]+)`/g)].map((match) => match[1]) }
  })
}

const keyOf = (piece: string): string => piece.slice(0, piece.indexOf(":"))

/** `pieces` and, of `defaults`, what they don't have. */
function merged(pieces: readonly string[], defaults: readonly string[]): string {
  const written = new Set(pieces.map(keyOf))
  return [...pieces, ...defaults.filter((piece) => !written.has(keyOf(piece)))].join(", ")
}

describe("gateway/TRAFFIC.md", () => {
  test("has its table", () => {
    expect(rows().length).toBeGreaterThan(25)
  })

  test.each(rows())("to $wish", ({ places, pieces }) => {
    // Either all are for one place, or there is one for each.
    const at = (place: string): string[] => pieces.filter((_, i) => (places[places.length === 1 ? 0 : i] ?? "") === place)
    expect(places.filter((place) => at(place).length === 0)).toEqual([])
    const service = merged(
      at("service"),
      at("service").some((piece) => keyOf(piece) === "discovery") ? [] : ["endpoints: [127.0.0.1:9001]"],
    )
    const route = merged(at("route"), ["backends: api"])
    const labelled = "{ address: 127.0.0.1:9003, labels: { version: v2 } }"
    const api = pieces.some((piece) => piece.includes("subset")) ? `endpoints: [${labelled}]` : service
    const text = [
      ...at("top level"),
      `listeners: [{ ${merged(at("listener"), ["address: 127.0.0.1:8080"])} }]`,
      `services: { api: { ${api} }, other: { endpoints: [127.0.0.1:9002] } }`,
      `routes: [{ ${route} }]`,
    ].join("\n")
    const result = parseConfig(text, { file: "sluice.yaml" })
    if (!result.ok) throw new Error(formatProblems(result.problems))
    expect(result.warnings).toEqual([])
  })
})
