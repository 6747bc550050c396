// `sluice canary pause`, `resume`, `promote`, `abort`, `restart`: tells the canary of a route what to do.

import type { CanaryOrder } from "../resilience/canary.ts"
import { adminArgument, adminPath, orderAdmin } from "./admin-client.ts"
import { type Command, command, text } from "./command.ts"

const DESCRIPTIONS: Readonly<Record<CanaryOrder, string>> = {
  pause: "Keep the canary of a route in its step; it is still rolled back when it breaks a limit",
  resume: "Let a paused canary go on; its step begins anew",
  promote: "Put a canary into its last step at once, for good",
  abort: "Take all requests from a canary",
  restart: "Put a canary into its first step again, also one that was rolled back",
}

export function canaryOrder(order: CanaryOrder): Command {
  return command({
    name: order,
    description: DESCRIPTIONS[order],
    args: {
      route: { type: "positional", description: "The route's name in the gateway's configuration", valueHint: "ROUTE", required: true },
      ...adminArgument,
    },
    examples: [`sluice canary ${order} everyone`, `sluice canary ${order} everyone --admin 127.0.0.1:9901`],
    run: (args) => orderAdmin(args, `${adminPath("canaries", text(args, "route"))}/${order}`, { method: "POST" }),
  })
}
