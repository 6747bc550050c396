// Reads files of endpoints and prints the results as JSON, in their order, in a process of its own: what validating takes in
// memory goes with it. Started by load-in-child.ts with the files as its arguments.

import { loadEndpoints } from "./load.ts"

const results = await Promise.all(process.argv.slice(2).map((file) => loadEndpoints(file)))
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0))
