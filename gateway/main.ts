#!/usr/bin/env node
// Entry of the command line: `bun gateway/main.ts run -c sluice.yaml` (also deno, node).

import { main } from "./cli/main.ts"

// Whoever reads our output may have had enough of it: `sluice filter test | head`.
process.stdout.on("error", (error: Error & { code?: string }) => {
  if (error.code === "EPIPE") process.exit(0)
  throw error
})

process.exitCode = await main(process.argv.slice(2))
