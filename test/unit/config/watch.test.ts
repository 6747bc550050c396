import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type FileWatch, type WatchOptions, watchFiles } from "../../../gateway/config/watch.ts"

let folder: string
let watches: { close(): void }[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-watch-"))
})

afterEach(() => {
  for (const watch of watches) watch.close()
  watches = []
  rmSync(folder, { recursive: true, force: true })
})

class Changes {
  readonly seen: string[] = []
  #wake: (() => void) | undefined

  readonly on = (path: string): void => {
    this.seen.push(path.slice(folder.length + 1))
    this.#wake?.()
  }

  /** Resolves when `count` changes were reported in all; the test's own time limit ends it otherwise. */
  async reach(count: number): Promise<void> {
    while (this.seen.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

function start(names: string[], options?: WatchOptions): { changes: Changes; watch: FileWatch } {
  const changes = new Changes()
  const watch = watchFiles(
    names.map((name) => join(folder, name)),
    changes.on,
    options,
  )
  watches.push(watch)
  return { changes, watch }
}

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)

describe("watchFiles reports", () => {
  test("a file written in place, once a change", async () => {
    write("a", "1")
    write("b", "1")
    const { changes } = start(["a", "b"])
    write("a", "2")
    await changes.reach(1)
    write("b", "2")
    await changes.reach(2)
    write("a", "3")
    await changes.reach(3)
    expect(changes.seen).toEqual(["a", "b", "a"])
  })

  test("a file that another is renamed over", async () => {
    write("a", "1")
    const { changes } = start(["a"])
    for (let i = 0; i < 3; i++) {
      write("a.tmp", `new ${i}`)
      renameSync(join(folder, "a.tmp"), join(folder, "a"))
      await changes.reach(i + 1)
    }
    expect(changes.seen).toEqual(["a", "a", "a"])
  })

  test("the swap of a symbolic link, as Kubernetes mounts a ConfigMap", async () => {
    for (const version of ["v1", "v2", "v3"]) {
      mkdirSync(join(folder, version))
      write(`${version}/a`, version)
    }
    symlinkSync("v1", join(folder, "..data"))
    symlinkSync("..data/a", join(folder, "a"))
    const { changes } = start(["a"])
    for (const [i, version] of ["v2", "v3"].entries()) {
      symlinkSync(version, join(folder, "..data_tmp"))
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"))
      await changes.reach(i + 1)
    }
    write("v3/a", "in place")
    await changes.reach(3)
  })

  test("a change behind a link higher up, by polling", async () => {
    for (const version of ["v1", "v2"]) {
      mkdirSync(join(folder, version, "etc"), { recursive: true })
      write(`${version}/etc/a`, version)
    }
    symlinkSync("v1", join(folder, "current"))
    const { changes } = start(["current/etc/a"], { poll: 50 })
    symlinkSync("v2", join(folder, "next"))
    renameSync(join(folder, "next"), join(folder, "current"))
    await changes.reach(1)
    write("v2/etc/a", "again")
    await changes.reach(2)
  })

  test("a file that appears, goes, and comes back, with its folder", async () => {
    const { changes } = start(["sub/a"], { poll: 50 })
    mkdirSync(join(folder, "sub"))
    write("sub/a", "1")
    await changes.reach(1)
    rmSync(join(folder, "sub"), { recursive: true })
    await changes.reach(2)
    mkdirSync(join(folder, "sub"))
    write("sub/a", "2")
    await changes.reach(3)
    expect(changes.seen).toEqual(["sub/a", "sub/a", "sub/a"])
  })
})

describe("watchFiles does not report", () => {
  test("a touch, a rewrite of the same content, a neighbour, or a short absence", async () => {
    write("a", "1")
    write("last", "1")
    const { changes } = start(["a", "last"])
    utimesSync(join(folder, "a"), new Date(), new Date())
    write("a", "1")
    write("neighbour", "1")
    rmSync(join(folder, "a"))
    write("a", "1")
    write("last", "2")
    await changes.reach(1)
    expect(changes.seen).toEqual(["last"])
  })

  test("a file that is no longer watched, and nothing after close", async () => {
    write("a", "1")
    write("b", "1")
    const { changes, watch } = start(["a"])
    watch.update([join(folder, "b")])
    write("a", "2")
    write("b", "2")
    await changes.reach(1)
    expect(changes.seen).toEqual(["b"])
    watch.close()
    const other = start(["a"])
    write("b", "3")
    write("a", "3")
    await other.changes.reach(1)
    expect(changes.seen).toEqual(["b"])
  })
})

test("a pause waits until a file that is written in steps is whole", async () => {
  write("a", "1")
  let calls = 0
  const changed = new Promise<void>((resolve) => {
    watches.push(
      watchFiles(
        [join(folder, "a")],
        () => {
          calls++
          resolve()
        },
        { settle: 25 },
      ),
    )
  })
  write("a", "")
  write("a", "2")
  await changed
  expect(calls).toBe(1)
})
