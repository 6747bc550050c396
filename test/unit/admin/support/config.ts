// A configuration with secrets in every place where one may stand.

import { LEAST_REQUEST } from "../../../../gateway/config/balancing-model.ts"
import type { Config } from "../../../../gateway/config/model.ts"
import { circuitBreaker } from "../../../support/limits.ts"

const none = { remove: [], set: [], add: [] }

export const config: Config = {
  admin: { address: { host: "127.0.0.1", port: 9901 }, openMetrics: false },
  workers: 1,
  log: { level: "info", format: "auto" },
  accessLog: {
    when: "errors",
    only: null,
    to: { kind: "stdout" },
    format: { kind: "json" },
    headers: { request: [], response: [] },
    redact: null,
  },
  zone: "",
  drain: { delay: 0, timeout: 30_000 },
  overload: { eventLoopLag: 250, memory: { share: 0.9 } },
  listeners: [
    {
      name: "edge",
      address: { host: "127.0.0.1", port: 8080 },
      protocol: "http",
      tls: null,
      proxyProtocol: null,
      limits: { requestLine: 8192, head: 32_768, fields: 100, body: 0, streams: 100, connections: 65_536 },
      timeouts: { head: 10_000, idle: 60_000, halfClose: 30_000, tunnelIdle: 3_600_000 },
      trustedHops: 0,
      path: { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: true },
    },
  ],
  services: {
    token: {
      endpoints: [{ address: { host: "127.0.0.1", port: 9001 }, weight: 1 }],
      loadBalancing: { ...LEAST_REQUEST, policy: "roundRobin" },
      protocol: "http1",
      proxyProtocol: "",
      tls: null,
      connectTimeout: 5000,
      pool: { maxConnections: 1024, maxPending: 1024, idleTimeout: 60_000, maxAge: 0 },
      limits: { head: 65_536, fields: 200 },
      circuitBreaker,
    },
  },
  filters: {
    key: {
      versions: [
        {
          name: "stable",
          module: "/filters/auth.wasm",
          sha256: "",
          weight: 1,
          config: { password: "s3cr3t-9", version: "visible-version" },
        },
      ],
      rollback: null,
      vm: "",
      vmConfig: { token: "s3cr3t-10" },
      rootId: "",
      env: { API_TOKEN: "s3cr3t-11", MODE: "visible-mode" },
      reroute: "onCall",
      config: {
        header: "x-visible",
        keys: { "s3cr3t-1": "alice" },
        nested: [{ api_key: "s3cr3t-2", "client-secret": ["s3cr3t-3"], requireToken: true }],
      },
      onError: "deny",
      limits: { cpu: 5, memory: 16_777_216, body: 1_048_576 },
    },
  },
  routes: [
    {
      name: "api",
      listeners: [],
      hosts: [],
      matches: [
        {
          path: { kind: "prefix", value: "/visible-path" },
          methods: [],
          headers: [{ name: "authorization", value: { exact: "Bearer s3cr3t-4" } }],
          query: [{ name: "access_token", value: { exact: "s3cr3t-5" } }],
        },
      ],
      filters: [{ use: "key", with: { password: "s3cr3t-6", per: "visible-minute" } }],
      action: {
        kind: "forward",
        backends: [
          {
            service: "token",
            weight: 1,
            headers: { request: { remove: ["cookie"], set: [["x-api-key", "s3cr3t-7"]], add: [["x-env", "visible-env"]] }, response: none },
          },
        ],
      },
      timeout: { request: 15_000, perTry: 0, idle: 300_000, propagate: false, grpc: 0 },
      retry: null,
      hedge: null,
      priority: "normal",
      grpcWeb: false,
      headers: { request: { remove: [], set: [["authorization", "Basic s3cr3t-8"]], add: [] }, response: none },
    },
  ],
}
