import { describe, expect, test } from "vitest"
import type { DownstreamStream } from "../../../gateway/http/exchange.ts"
import { RequestHead } from "../../../gateway/http/message.ts"
import { ExchangeRecord } from "../../../gateway/proxy/exchange-record.ts"
import type { Plane } from "../../../gateway/proxy/plane.ts"

const REQUEST_OCTETS = 1
const RESPONSE_OCTETS = 2

class Counting extends ExchangeRecord {
  count(): void {
    this.countOctets()
  }
}

function record(): { exchange: Counting; counts: number[] } {
  const counts = [0, 0, 0]
  const plane = {
    means: {
      wheel: { now: 0, refresh: () => 0 },
      metrics: {
        add: (slot: number, n: number) => {
          counts[slot] += n
        },
      },
    },
    listenerSlots: { requestsActive: 0 },
    noRouteSlots: { requestBytes: REQUEST_OCTETS, responseBytes: RESPONSE_OCTETS },
    config: { trustedHops: 0 },
  } as unknown as Plane
  return { exchange: new Counting(plane, {} as DownstreamStream, new RequestHead()), counts }
}

describe("what is known of an exchange", () => {
  test("has its octets counted as they come, each once", () => {
    const { exchange, counts } = record()
    exchange.count()
    exchange.requestBytes = 5
    exchange.count()
    exchange.requestBytes = 7
    exchange.responseBytes = 10
    exchange.count()
    exchange.count()
    expect(counts.slice(REQUEST_OCTETS)).toEqual([7, 10])
    // A response that is taken back before any of it left makes room for another.
    exchange.responseBytes = 0
    exchange.count()
    exchange.responseBytes = 12
    exchange.count()
    expect(counts.slice(REQUEST_OCTETS)).toEqual([7, 12])
  })

  test("shows its path without what may let somebody in", () => {
    const { exchange } = record()
    exchange.path = "/cart;jsessionid=s3cret/items?token=s3cret"
    expect(exchange.sight().path).toBe("/cart;jsessionid=[redacted]")
    exchange.path = `/${"a".repeat(1000)}`
    expect(exchange.sight().path).toHaveLength(256)
  })
})
