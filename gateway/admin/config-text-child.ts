// Makes one text of packed configurations (`config-text.ts`) in a process of its own: what is asked for and the length of the first of
// them are its arguments, they are its standard input, one behind the other, and the text is what it prints.

import { buffer } from "node:stream/consumers"
import { makeText, type TextJob } from "./config-text.ts"

const [kind, length] = process.argv.slice(2)
const input = await buffer(process.stdin)
const job: TextJob =
  kind === "diff"
    ? { kind, before: input.subarray(0, Number(length)), after: input.subarray(Number(length)) }
    : { kind: kind as "json" | "yaml", config: input }
process.stdout.write(makeText(job), () => process.exit(0))
