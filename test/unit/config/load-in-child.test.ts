import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deflateSync } from "node:zlib"
import { afterAll, expect, test } from "vitest"
import { loadConfigInChild, loadDocumentInChild } from "../../../gateway/config/load-in-child.ts"
import { unpack } from "../../../gateway/config/packed-config.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test("what a file held once goes through what the file has to pass, and comes out the same", async () => {
  const file = join(folder, "sluice.yaml")
  writeFileSync(
    file,
    "listeners: [{ address: 127.0.0.1:8080 }]\nroutes: [{ name: a, respond: { status: 200 }, timeout: { request: 1s } }]\n",
  )
  const loaded = await loadConfigInChild(file)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  expect(unpack(loaded.packed.config)).toEqual(JSON.parse(JSON.stringify(loaded.config)))
  const written = unpack(loaded.packed.document) as { routes: object[] }
  expect(written.routes).toEqual([{ name: "a", respond: { status: 200 }, timeout: { request: "1s" } }])

  const tampered = { ...written, routes: [{ ...written.routes[0], timeout: { request: -1 } }], listener: [] }
  const [again, refused] = await Promise.all([
    loadDocumentInChild(loaded.packed.document, file),
    loadDocumentInChild(deflateSync(JSON.stringify(tampered)), file),
  ])
  expect(again).toEqual(loaded)
  expect(refused.ok ? [] : refused.problems.map(({ path }) => path).sort()).toEqual(["listener", "routes[0].timeout.request"])
})
