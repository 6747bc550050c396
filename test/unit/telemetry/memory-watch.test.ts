import { totalmem } from "node:os"
import { describe, expect, test } from "vitest"
import { availableMemory, MemoryWatch, usedMemory } from "../../../gateway/telemetry/memory-watch.ts"

const MiB = 1024 * 1024

function files(of: Readonly<Record<string, string>>): (path: string) => string | null {
  return (path) => of[path] ?? null
}

describe("the memory a process may have", () => {
  test.each<[string, Record<string, string>, number]>([
    ["the machine's, without a limit", {}, totalmem()],
    [
      "the machine's, with limits that are none",
      { "/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n" },
      totalmem(),
    ],
    ["its container's", { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "67108864\n" }, 64 * MiB],
    [
      "its group's",
      { "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "67108864\n", "/sys/fs/cgroup/a/memory.max": "max\n" },
      64 * MiB,
    ],
    [
      "a group's that its own is in",
      { "/proc/self/cgroup": "1:cpu:/x\n0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "33554432\n" },
      32 * MiB,
    ],
    [
      "that of its group of version 1, or of one that this is in",
      {
        "/proc/self/cgroup": "9:name=systemd:/x\n8:cpu,memory:/a/b\n0::/x\n",
        "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
        "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "33554432\n",
      },
      32 * MiB,
    ],
    ["that of version 1", { "/sys/fs/cgroup/memory/memory.limit_in_bytes": "16777216\n" }, 16 * MiB],
  ])("is %s", (_what, of, expected) => {
    expect(availableMemory(files(of))).toBe(expected)
  })
})

describe("the memory a process has", () => {
  test("is what the system can't take back: not the runtime's own program", () => {
    const status = "VmRSS:\t  190764 kB\nRssAnon:\t  128252 kB\nRssFile:\t   62500 kB\nRssShmem:\t      12 kB\n"
    expect(usedMemory(files({ "/proc/self/status": status }))).toBe((128252 + 12) * 1024)
  })

  test("is all of it where the system doesn't say", () => {
    expect(usedMemory(files({}))).toBeGreaterThan(MiB)
    expect(usedMemory(files({ "/proc/self/status": "VmRSS:\t  190764 kB\n" }))).toBeGreaterThan(MiB)
  })
})

describe("a watch over memory", () => {
  let used = 0
  const watch = new MemoryWatch(1000, () => used)
  const level = (octets: number): number => {
    used = octets
    watch.look()
    return Atomics.load(new Int32Array(watch.memory), 0)
  }

  test("tells workers how far it is from the threshold to all there is", () => {
    watch.use({ eventLoopLag: 0, memory: { share: 0.95 } })
    expect([level(900), level(950), level(975), level(1000), level(2000)]).toEqual([0, 0, 1500, 3000, 3000])
    watch.use({ eventLoopLag: 0, memory: { octets: 500 } })
    expect([level(500), level(525), level(550)]).toEqual([0, 1500, 3000])
    watch.use({ eventLoopLag: 0, memory: null })
    expect(Atomics.load(new Int32Array(watch.memory), 0)).toBe(0)
    watch.use({ eventLoopLag: 0, memory: { octets: 2000 } })
    expect([level(1999), level(2001)]).toEqual([0, 3000])
    watch.close()
    expect(Atomics.load(new Int32Array(watch.memory), 0)).toBe(0)
  })

  test("sees what this process has", () => {
    const own = new MemoryWatch()
    own.use({ eventLoopLag: 0, memory: { octets: MiB } })
    expect(Atomics.load(new Int32Array(own.memory), 0)).toBe(3000)
    own.close()
  })
})
