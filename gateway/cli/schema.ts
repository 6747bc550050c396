// `sluice schema`: the JSON Schema of the configuration, for editors.

import { configJsonSchema } from "../config/schema.ts"
import { type Command, command } from "./command.ts"

export const schema: Command = command({
  name: "schema",
  description: "Print the JSON Schema of the configuration",
  args: {},
  examples: ["sluice schema > sluice.schema.json"],
  run: () => {
    process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`)
    return Promise.resolve(0)
  },
})
