// Fetches a module from a URL. What comes is not trusted: it is bounded in size and time, and used only when it has the
// digest that the configuration names.

import { collect } from "../http/collect.ts"

/** ms for the whole transfer. */
const FETCH_TIMEOUT = 30_000

/** The module's octets, or why there are none. */
export async function fetchModule(url: string, maxOctets: number, timeout: number = FETCH_TIMEOUT): Promise<Uint8Array | string> {
  const signal = AbortSignal.timeout(timeout)
  try {
    const response = await fetch(url, { signal, redirect: "follow", credentials: "omit", headers: { accept: "application/wasm, */*" } })
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      return `${url} answers ${response.status}`
    }
    const tooLarge = `${url} is larger than ${Math.round(maxOctets / 1024 / 1024)} MiB`
    if (Number(response.headers.get("content-length") ?? 0) > maxOctets) {
      await response.body.cancel()
      return tooLarge
    }
    return (await collect(response.body, maxOctets)) ?? tooLarge
  } catch (error) {
    if (signal.aborted) return `${url} could not be fetched within ${timeout / 1000} s`
    const { message, cause } = error as Error & { cause?: { message?: string; code?: string } }
    return `${url} can't be fetched: ${cause?.message || cause?.code || message}`
  }
}
