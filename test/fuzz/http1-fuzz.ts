// The loop of a fuzz run: makes inputs, checks each, stops at the first that shows a fault.

import type { Random } from "../conformance/http1/cuts.ts"
import type { Checker, Kind } from "./http1-check.ts"
import { mutate, randomChunks, randomRequest, randomResponse } from "./http1-inputs.ts"
import type { Comparison } from "./llhttp.ts"

export interface Report {
  readonly inputs: number
  /** Requests that llhttp read too, and the same; and those it refused. */
  readonly agreed: number
  readonly onlyOurs: number
  /** The first fault with its input; null when there was none. */
  readonly problem: string | null
}

/** Makes and checks `inputs` random messages. `progress`: called every million. */
export function fuzz(
  inputs: number,
  random: Random,
  checker: Checker,
  comparison: Comparison | null,
  progress: (done: number) => void,
): Report {
  let problem: string | null = null
  let done = 0
  while (done < inputs && problem === null) {
    const which = random.below(10)
    const kind: Kind = which < 4 ? "request" : which < 6 ? "response" : "chunked"
    const octets = mutate(
      kind === "request" ? randomRequest(random) : kind === "response" ? randomResponse(random) : randomChunks(random),
      random,
    )
    let fault: string | null
    try {
      fault = checker.check(kind, octets, random)
      if (fault === null && comparison !== null && kind === "request") fault = comparison.compare(octets)
    } catch (error) {
      fault = String((error as Error).stack)
    }
    if (fault !== null) problem = `${kind} ${JSON.stringify(octets.toString("latin1"))}\n${fault}`
    if (++done % 1_000_000 === 0) progress(done)
  }
  return { inputs: done, agreed: comparison?.agreed ?? 0, onlyOurs: comparison?.onlyOurs ?? 0, problem }
}
