// Two instances of the greeter; one of them is always busy.

import { startGreeter } from "./greeter.ts"

await startGreeter(9061, true)
await startGreeter(9062, false)
