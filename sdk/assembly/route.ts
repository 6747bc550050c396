// Where the request goes.

import { callForeign } from "./foreign"
import { log } from "./log"
import { OUT_DATA, release } from "./memory"
import { payload, payloadSize, releasePayload } from "./payload"
import { properties } from "./properties"

/**
 * The route of the request, and the service it will be sent to.
 *
 * ```ts
 * if (request.headers.get("x-beta") == "1") request.route.service = "api-canary"
 * ```
 */
@final
export class Route {
  /** The route's name in the gateway's configuration. */
  get name(): string {
    const name = properties.text("xds.route_name")
    return name === null ? "" : name
  }

  /** The service the request goes to; "" before one is chosen. Assigning one that doesn't exist is logged and changes nothing. */
  get service(): string {
    const service = properties.text("xds.cluster_name")
    return service === null ? "" : service
  }
  set service(name: string) {
    if (!this.choose(name)) log.warn('the service "' + name + '" can\'t be chosen here')
  }

  /**
   * Sends the request to this service whatever its route says. False if there is no such service, the request has been sent
   * already, or the host can't do it (Envoy: set a header that its routes match, and call `refresh`).
   */
  choose(service: string): boolean {
    const argument = payload<string>(service)
    const done = callForeign("sluice_set_service", argument, payloadSize)
    releasePayload<string>(argument)
    if (done) release(<usize>load<u32>(OUT_DATA))
    return done
  }

  /** Has the route chosen anew, by the request as it is now. This filter is not run again. False if the host can't do it. */
  refresh(): boolean {
    const done = callForeign("clear_route_cache", 0, 0)
    if (done) release(<usize>load<u32>(OUT_DATA))
    return done
  }
}
