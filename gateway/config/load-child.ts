// Reads one configuration and prints the result as JSON, in a process of its own: what validating takes in memory goes with
// it, and a module is evaluated anew with everything it imports. Started by load-in-child.ts with the file as its argument.

import { loadConfig } from "./load.ts"

const result = await loadConfig(process.argv[2])
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
