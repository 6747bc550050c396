import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type EndpointsResult, loadEndpoints, parseEndpoints } from "../../../gateway/config/load.ts"
import { formatProblems } from "../../../gateway/config/problem.ts"
import { EndpointFiles } from "../../../gateway/discovery/endpoint-files.ts"
import { until } from "../../support/deadline.ts"

describe("a file of endpoints", () => {
  const parse = (text: string): string => {
    const result = parseEndpoints(text, "endpoints.yaml")
    if (!result.ok) return formatProblems(result.problems)
    return result.endpoints.map(({ address, weight }) => `${address.host}:${address.port}*${weight}`).join(" ")
  }

  test("is a list in YAML or JSON, written as endpoints are", () => {
    expect(parse("- 10.0.0.1:80\n- { address: '[fd00::1]:81', weight: 3 } # a comment\n")).toBe("10.0.0.1:80*1 fd00::1:81*3")
    expect(parse('[ "10.0.0.1:80", { "address": "host:81", "weight": 0 } ]')).toBe("10.0.0.1:80*1 host:81*0")
    expect(parse("[]")).toBe("")
  })

  test.each([
    ["", "endpoints.yaml: is missing; write a list, such as [127.0.0.1:9001]"],
    ["# nothing\n", "endpoints.yaml: is missing; write a list, such as [127.0.0.1:9001]"],
    ["{ endpoints: [] }", "endpoints.yaml:1:1: expected a list, got an object; write a list, such as [127.0.0.1:9001]"],
    ["- 10.0.0.1\n", 'endpoints.yaml:1:3: [0]: "10.0.0.1" has no port; write host:port, such as 127.0.0.1:8080'],
    ["- { address: 10.0.0.1:80, wieght: 2 }", 'endpoints.yaml:1:27: [0].wieght: unknown key; did you mean "weight"?'],
    ["- [10.0.0.1:80\n", "not valid YAML"],
  ])("%j is refused", (text, message) => {
    expect(parse(text)).toContain(message.replace(/^endpoints.yaml: /, ""))
  })

  test("that is not there is a problem like others", async () => {
    expect(await loadEndpoints("/nonexistent/endpoints.yaml")).toMatchObject({
      ok: false,
      problems: [{ message: "there is no such file; write the path of one" }],
    })
  })
})

describe("files of endpoints", () => {
  let folder: string
  let files: EndpointFiles
  let reads: (readonly string[])[]
  let looks: string[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-endpoints-"))
    reads = []
    looks = []
    files = new EndpointFiles({
      watch: true,
      owner: {
        onLooked: ({ service, endpoints }, result, changed) => looks.push(`${service} ${result} ${endpoints.length}${changed ? "!" : ""}`),
      },
      read: (paths): Promise<EndpointsResult[]> => {
        reads.push(paths)
        return Promise.all(paths.map((path) => loadEndpoints(path)))
      },
    })
  })

  afterEach(() => {
    files.close()
    rmSync(folder, { recursive: true })
  })

  test("are read together, and again when they change; a bad one changes nothing", async () => {
    const [one, two] = [join(folder, "one.yaml"), join(folder, "two.yaml")]
    writeFileSync(one, "[10.0.0.2:80, 10.0.0.1:80, 10.0.0.1:80]")
    const sources = [files.add("a", one), files.add("b", one), files.add("c", two)]
    await Promise.all(sources.map(({ first }) => first))
    expect(reads).toEqual([[one, two]])
    expect(looks).toEqual(["a ok 2!", "b ok 2!", "c invalid 0"])
    expect(sources[0].endpoints.map(({ address }) => address.host)).toEqual(["10.0.0.1", "10.0.0.2"])
    writeFileSync(two, "[10.0.0.3:80]")
    await until(() => looks.includes("c ok 1!"), "the second file")
    writeFileSync(one, "[10.0.0.2]")
    await until(() => looks.includes("a invalid 2"), "the bad file")
    expect(sources[0].endpoints.length).toBe(2)
    expect(sources[0].problem).toContain("has no port")
    writeFileSync(one, "[]")
    await until(() => looks.includes("a empty 0!"), "the empty file")
    expect(sources[0].problem).toBe("")
  })

  test("that no service needs any more are left alone", async () => {
    const path = join(folder, "one.yaml")
    writeFileSync(path, "[10.0.0.1:80]")
    const [a, b] = [files.add("a", path), files.add("b", path)]
    await Promise.all([a.first, b.first])
    a.close()
    writeFileSync(path, "[10.0.0.2:80]")
    await until(() => looks.includes("b ok 1!") && looks.length >= 3, "the change")
    expect(looks).toEqual(["a ok 1!", "b ok 1!", "b ok 1!"])
  })
})
