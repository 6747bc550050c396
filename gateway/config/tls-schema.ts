// What users write of TLS, for listeners and services.

import * as z from "zod"
import { boolean, choice, duration, either, integer, list, object, parsed, string } from "./schema-kit.ts"
import { quote, Wrong } from "./units.ts"

const pemPath = (what: string): z.ZodString =>
  string("a path", "the path of a PEM file")
    .min(1, { error: "is empty; write the path of a PEM file" })
    .describe(`${what} Path from this file's folder.`)

const minVersion = either(
  [z.literal("1.2"), z.literal("1.3"), z.literal(1.2), z.literal(1.3)],
  'the text "1.2" or "1.3"',
  '"1.2" or "1.3"',
).transform((version): "1.2" | "1.3" => (String(version) === "1.3" ? "1.3" : "1.2"))

export const listenerTls = object(
  {
    certificates: list(
      object(
        { cert: pemPath("The certificate, with its chain behind it."), key: pemPath("Its private key.") },
        "{ cert: ./shop.pem, key: ./shop.key }",
      ),
      "a list, such as [{ cert: ./shop.pem, key: ./shop.key }]",
    )
      .min(1, { error: "is an empty list; write at least one, such as { cert: ./shop.pem, key: ./shop.key }" })
      .max(1024, { error: "has more than 1024 certificates; spread them over listeners" })
      .describe("Chosen by the name the client asks for (SNI) and the kinds of keys it knows; the first is used when none has that name."),
    minVersion: minVersion.default("1.2").describe('Oldest version of TLS that is spoken: "1.2" or "1.3". Default "1.2".'),
    alpn: list(choice(["h2", "http/1.1"]), "a list, such as [h2, http/1.1]")
      .min(1, { error: "is an empty list; write at least one of h2 and http/1.1" })
      .optional()
      .describe("https and auto: protocols offered to clients, the best first. Default [h2, http/1.1]."),
    clientCa: pemPath("Authorities whose client certificates are accepted; with it clients are asked for one.").optional(),
    clientCertificate: choice(["require", "optional"])
      .optional()
      .describe("With clientCa: whether a client may have no certificate. One that is not good is never accepted. Default require."),
    forwardClientCert: boolean()
      .optional()
      .describe("https and auto: services are told of the client's certificate in x-forwarded-client-cert. Default false."),
    handshakeTimeout: duration().default(10_000).describe("For a handshake; over it the connection is closed. Default 10s."),
    maxHandshakes: integer(1, 1_000_000)
      .default(1024)
      .describe("Handshakes at a time, in each worker; over it a new connection is closed at once. Default 1024."),
  },
  "certificates, such as { certificates: [{ cert: ./shop.pem, key: ./shop.key }] }",
)

const spiffeId = parsed("a SPIFFE ID", "one such as spiffe://example.org/ns/shop/sa/api", (text) =>
  /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*$/.test(text) && text.length <= 2048
    ? text
    : new Wrong(`${quote(text)} is not a SPIFFE ID; write one such as spiffe://example.org/ns/shop/sa/api`),
)

const serverName = parsed("a name", "a DNS name", (text) =>
  text.length <= 253 && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i.test(text) && !/(?:^|\.)[0-9]+$/.test(text)
    ? text.toLowerCase()
    : new Wrong(`${quote(text)} is not a DNS name; write one, without port`),
)

export const serviceTls = either(
  [
    z.literal(true),
    object(
      {
        ca: pemPath("Authorities the service's certificate must be from. Default: those of the system.").optional(),
        cert: pemPath("Certificate shown to the service, with its chain behind it.").optional(),
        key: pemPath("Its private key.").optional(),
        serverName: serverName.optional().describe("Name asked for (SNI) and looked for in its certificate. Default: the endpoint's host."),
        identity: spiffeId.optional().describe("SPIFFE ID its certificate must have; the host's name is not looked for then."),
        insecureSkipVerify: boolean().default(false).describe("Any certificate will do: for tests. Default false."),
        minVersion: minVersion.default("1.2").describe('Oldest version of TLS that is spoken: "1.2" or "1.3". Default "1.2".'),
      },
      "settings, such as { ca: ./ca.pem }, or true",
    ),
  ],
  "true or an object",
  "settings, such as { ca: ./ca.pem }, or true",
)
