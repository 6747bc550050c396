// Certificates in the admin API: which are shown to clients and to services, and how long they are good. Never a key.

import { createRoute, z } from "@hono/zod-openapi"
import type { CertificateStatus } from "./certificate-status.ts"
import { json, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface CertificatesDeps {
  certificates(): readonly CertificateStatus[]
}

const certificate = z
  .object({
    shownBy: z.enum(["listener", "service", "rateLimitStore", "admin"]).describe("By which listener, or to which service"),
    name: z.string(),
    subject: z.string(),
    names: z.array(z.string()).readonly(),
    issuer: z.string(),
    sha256: z.string(),
    expires: timestamp,
    daysLeft: z.number().describe("Negative: it has expired"),
  })
  .openapi("Certificate")

const list = createRoute({
  method: "get",
  path: "/",
  summary: "the certificates in use, the one that expires first first; never a key",
  responses: { 200: json(z.object({ certificates: z.array(certificate).readonly() }), "All of them") },
})

export function certificates(deps: CertificatesDeps): TopicApp {
  const app = topicApp()
  app.openapi(list, (c) => c.json({ certificates: deps.certificates() }, 200))
  return app
}
