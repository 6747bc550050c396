// Parts of a service: its endpoints that have some labels.

import type { EndpointConfig } from "../../config/model.ts"

/** Whether an endpoint has all of `labels`. */
export function hasLabels(endpoint: EndpointConfig, labels: Readonly<Record<string, string>>): boolean {
  const own = endpoint.labels
  return Object.entries(labels).every(([name, value]) => own !== undefined && Object.hasOwn(own, name) && own[name] === value)
}
