// The admin API as one thing to be served: its door, and behind it the app, loaded when somebody first asks for more than a probe.

import type { AdminConfig } from "../config/model.ts"
import { Access } from "./access.ts"
import type { AdminDeps } from "./app.ts"
import { Door } from "./door.ts"

/** `token`: the one that lets somebody in; null = there is none. */
export function createAdmin(deps: AdminDeps, config: AdminConfig, token: string | null): Door {
  return new Door({
    probes: deps,
    access: new Access({
      address: config.address,
      token,
      certificates: config.tls !== undefined && config.tls.clientAuthority !== "",
      now: () => performance.now(),
    }),
    scheme: config.tls === undefined ? "http" : "https",
    openMetrics: config.openMetrics,
    history: deps.history,
    load: async () => {
      const { createApp } = await import("./app.ts")
      const app = createApp(deps)
      return (request, visit) => app.fetch(request, visit)
    },
  })
}
