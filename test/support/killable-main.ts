// gateway/main.ts with one addition for fault tests: SIGUSR2 terminates one of its worker threads, as a crash would, without
// the supervisor's doing. The workers are found by what every supervisor must do, which is to speak to them.

import { Worker } from "node:worker_threads"

const alive: Worker[] = []
const listen = Worker.prototype.on
Worker.prototype.on = function on(this: Worker, ...args: Parameters<typeof listen>) {
  if (!alive.includes(this)) alive.push(this)
  return listen.apply(this, args)
} as typeof listen

process.on("SIGUSR2", () => {
  const victim = alive.shift()
  console.log(JSON.stringify({ level: "info", message: victim === undefined ? "no worker to kill" : "worker killed by the test" }))
  void victim?.terminate()
})

await import("../../gateway/main.ts")
