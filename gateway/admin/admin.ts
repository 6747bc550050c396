// The admin API as one thing to be served: its door, and behind it the app, loaded when somebody first asks for more than a probe.

import type { AdminDeps } from "./app.ts"
import { Door } from "./door.ts"

/** @param host address it will be bound to. */
export function createAdmin(deps: AdminDeps, host: string): Door {
  return new Door({
    probes: deps,
    host,
    load: async () => {
      const { createApp } = await import("./app.ts")
      const app = createApp(deps)
      return (request, visit) => app.fetch(request, visit)
    },
  })
}
