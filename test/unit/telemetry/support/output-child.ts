// Writes to standard output faster than anyone reads, and says on standard error how that went. With `exit` it ends
// itself while something waits to be written.

import { Output } from "../../../../gateway/telemetry/output.ts"

let drops = 0
let done = 0
let ticks = 0
const output = new Output({ descriptor: 1, capacity: 512 * 1024, onDrop: () => drops++ })
setInterval(() => ticks++, 10).unref()
for (let i = 0; i < 1000; i++) output.write(`${`${i}`.padEnd(1023, "x")}\n`, () => done++)
await output.flush(process.argv[2] === "exit" ? 200 : 10_000)
process.stderr.write(JSON.stringify({ done, drops, ticks, open: output.open }))
if (process.argv[2] === "exit") process.exit(0)
