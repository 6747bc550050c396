// What may befall an endpoint, and what a route does about it, as failures.ts measures it.

/** `killed` is done to the process from outside. `reset`: in the middle of its answers. */
export const failureModes = ["killed", "hung", "slow", "error", "reset", "flapping"] as const
export type FailureMode = (typeof failureModes)[number] | "well"

/** Settings of the route, by the name that the table gives them. */
export const routeSettings: Readonly<Record<string, object>> = {
  defaults: {},
  retries: { retry: { attempts: 3, on: ["connectFailure", "refused", "reset", "5xx"] }, timeout: { request: "15s", perTry: "1s" } },
  hedging: {
    retry: { attempts: 3, on: ["connectFailure", "refused", "reset", "5xx"] },
    hedge: { percentile: 95, after: "20ms" },
    timeout: { request: "15s", perTry: "1s" },
  },
}
