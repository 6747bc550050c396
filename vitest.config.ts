import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["node_modules/**", "dist/**"],
    testTimeout: 30_000,
    // A hook is not tried again, and most start a gateway: more than that may take.
    hookTimeout: 60_000,
    // Most files wait for servers and timers: on two cores, two of them at once.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // CI shares its machines: a test that fails there is run once more, and the report says so. Never at a developer's.
    retry: Number(process.env.SLUICE_TEST_RETRY ?? 0),
    reporters: ["default"],
  },
})
