// Counters of a service for tests that look at nothing of them.

/** `fault`: told of programming errors. */
export function silentCounters(fault: (error: unknown) => void = () => {}) {
  return {
    connects() {},
    connectFailures() {},
    active() {},
    pending() {},
    idle() {},
    connected() {},
    waited() {},
    panics() {},
    spills() {},
    failovers() {},
    refused() {},
    concurrencyLimit() {},
    fault,
  }
}
