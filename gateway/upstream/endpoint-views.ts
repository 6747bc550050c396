// What a worker's endpoints see of their records in shared memory, made once for a snapshot.

import type { ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { allowedEjections, Ejection } from "../resilience/ejection.ts"
import { EndpointLoad } from "./endpoint-load.ts"
import { EndpointHealthView, type EndpointMemory, type RecordWords, type ServiceRecords } from "./endpoint-table.ts"
import { type EjectionListener, OutlierObserver } from "./outlier-observer.ts"

export interface EndpointViews {
  readonly health: EndpointHealthView | null
  readonly outlier: OutlierObserver | null
  readonly load: EndpointLoad | null
}

export const NO_VIEWS: EndpointViews = { health: null, outlier: null, load: null }

export interface ViewMeans {
  /** [0, 1). */
  readonly random: () => number
  /** Which worker sees, and who hears of what it does. Undefined: it ejects nothing. */
  readonly outliers?: { readonly worker: number; readonly listener: EjectionListener } | undefined
}

/** In the order of the service's configuration; null: nothing of it is known. */
export function endpointViews(
  name: string,
  service: ServiceConfig,
  records: ServiceRecords | undefined,
  memory: EndpointMemory,
  means: ViewMeans,
): EndpointViews[] | null {
  const of = records === undefined ? null : memory.words(records.service)
  if (records === undefined || of === null) return null
  const { random, outliers } = means
  const ejection = ejectionsOf(service, of, memory.clock, random)
  return service.endpoints.map(({ address, weight }, i): EndpointViews => {
    const record = records.endpoints[i]
    const own = memory.words(record)
    if (own === null) return NO_VIEWS
    const health = service.healthCheck === undefined ? null : new EndpointHealthView(own, service.failover === undefined ? of : null)
    if (outliers === undefined) return { health, outlier: null, load: null }
    const { column, at } = memory.column(record, outliers.worker)
    const load = new EndpointLoad(column, at)
    if (ejection === null || weight === 0) return { health, outlier: null, load }
    const count429 = service.outlierDetection?.count429 === true
    const settings = { service: name, endpoint: formatAddress(address), count429, listener: outliers.listener }
    return { health, outlier: new OutlierObserver(settings, ejection(own), column, at, memory.clock), load }
  })
}

/** Makes the ejections of a service's endpoints; null: none of them is ever ejected. */
export function ejectionsOf(
  { endpoints, outlierDetection, failover }: ServiceConfig,
  of: RecordWords,
  clock: () => number,
  random: () => number,
): ((own: RecordWords) => Ejection) | null {
  if (outlierDetection === undefined) return null
  const taking = new Set(endpoints.filter(({ weight }) => weight > 0).map(({ address }) => formatAddress(address))).size
  const allowed = allowedEjections(taking, outlierDetection.maxEjected)
  if (allowed === 0) return null
  // Where another service takes over, that all are ejected is no reason to use them.
  const limits = { ...outlierDetection, endpoints: failover === undefined ? taking : Number.POSITIVE_INFINITY, allowed }
  return (own) => new Ejection(own.words, own.at, of.words, of.at, limits, clock, random)
}
