#!/usr/bin/env node
// Entry of the command line: `bun gateway/main.ts run -c sluice.yaml` (also deno, node).

import { main } from "./cli/main.ts"

process.exitCode = await main(process.argv.slice(2))
