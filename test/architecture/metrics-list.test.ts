import { describe, expect, test } from "vitest"
import { allMetrics, DOCUMENT, withTable } from "../../scripts/metrics-table.ts"
import { readRepositoryFile, repositoryFiles } from "./repository.ts"

describe("the list of metrics", () => {
  test("is as the code has it; otherwise run npm run docs:metrics", () => {
    const document = readRepositoryFile(DOCUMENT)
    expect(withTable(document)).toBe(document)
    expect(withTable("no place for it")).toBeNull()
  })

  test("has every metric that is named in the gateway's sources", () => {
    const known = new Set(allMetrics().map(({ name }) => name))
    const named = repositoryFiles()
      .filter((path) => /^gateway\/.*\.ts$/.test(path))
      .flatMap((path) =>
        [...readRepositoryFile(path).matchAll(/(?:name: |\w+\(\s*)"(sluice_[a-z0-9_]+[a-z0-9])"/g)].map(([, name]) => name),
      )
    expect(named.length).toBeGreaterThan(50)
    expect(named.filter((name) => !known.has(name.replace(/_(?:bucket|sum|count)$/, "")))).toEqual([])
  })

  test("keeps to the conventions of Prometheus", () => {
    for (const { name, type, labels, help } of allMetrics()) {
      expect(name).toMatch(/^(?:sluice|process)(?:_[a-z0-9]+)+$/)
      expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"])
      if (type === "histogram") expect(name).toMatch(/_seconds$/)
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/)
      expect(help).toMatch(/\S/)
    }
  })
})
