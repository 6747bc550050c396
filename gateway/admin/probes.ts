// What machines ask a running gateway all the time: whether it lives, whether it serves, its metrics. They are answered without the
// rest of the admin API, so that a gateway nobody looks at holds none of its code in memory.

import type { ReadyState } from "./status.ts"

export interface ProbesDeps {
  live(): boolean
  ready(): ReadyState
  /** `accept`: what the scraper says it takes. */
  exposition(accept: string): Promise<{ readonly contentType: string; readonly body: string }>
}

/**
 * The answer to a probe; null: the path is none. `accept`: what it says it takes. `known`: who asks may know more than whether it is
 * ready.
 */
export function answerProbe(path: string, accept: string, deps: ProbesDeps, known: boolean): Response | Promise<Response> | null {
  switch (path) {
    case "/live": {
      const live = deps.live()
      return respond({ live }, live ? 200 : 503)
    }
    case "/ready": {
      const state = deps.ready()
      return respond(known ? state : { ready: state.ready, draining: state.draining }, state.ready ? 200 : 503)
    }
    case "/metrics":
      return deps.exposition(accept).then(({ contentType, body }) => new Response(body, { headers: { "content-type": contentType } }))
    default:
      return null
  }
}

/** JSON. The type is spelled out: on Bun, one that a Response infers from its body is lost in an answer to HEAD. */
export function respond(body: object, status: number): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } })
}
