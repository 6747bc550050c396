// An exchange as the access log sees it when it has ended.

import type { AccessEntry } from "../../../../gateway/telemetry/access-entry.ts"

export function accessEntry(more: Partial<AccessEntry> = {}): AccessEntry {
  return {
    open: false,
    startTime: Date.UTC(2026, 0, 2, 3, 4, 5) + 7.25,
    method: "GET",
    path: "/a",
    authority: "shop.example.com",
    protocol: "HTTP/1.1",
    status: 200,
    grpcStatus: -1,
    flag: "",
    flagDetails: "",
    duration: 1.23456,
    timeToFirstByte: 1,
    requestBytes: 0,
    responseBytes: 1024,
    listener: "edge",
    route: "api",
    service: "users",
    upstream: "10.0.0.4:9001",
    attempts: 1,
    source: "10.1.1.1:4711",
    sourceAddress: "10.1.1.1",
    sourcePort: 4711,
    peerAddress: "10.1.1.254",
    destinationAddress: "10.0.0.1",
    destinationPort: 8080,
    connectionId: 7,
    requestedServerName: "",
    requestId: "r-1",
    traceId: "",
    userAgent: "",
    security: null,
    requestFields: null,
    responseFields: null,
    trailerFields: null,
    ...more,
  }
}
