// What users write of the admin API: where it listens and who may ask it.

import { resolve } from "node:path"
import * as z from "zod"
import type { Address } from "./address-model.ts"
import type { AdminConfig, SocketPath } from "./admin-model.ts"
import { boolean, checked, either, mismatch, object, orIssue, string } from "./schema-kit.ts"
import { parseAddress, quote, Wrong } from "./units.ts"

/** Octets of a socket's path: systems take a little more, which is needed while it is made. */
const MAX_SOCKET_PATH = 88

const adminAddress = z
  .string({ error: (raw) => mismatch(raw.input, "an address", "host:port, such as 127.0.0.1:9901, or unix:PATH") })
  .transform((text, context): Address | SocketPath => {
    if (!text.startsWith("unix:")) return orIssue(parseAddress(text, 0), text, context)
    const socket = text.slice("unix:".length)
    const wrong = socket === "" || socket.includes("\0") || socket.startsWith("//")
    return orIssue(
      wrong ? new Wrong(`${quote(text)} names no socket; write unix: and a path, such as unix:/run/sluice/admin.sock`) : { socket },
      text,
      context,
    )
  })
  .meta({ examples: ["127.0.0.1:9901", "unix:/run/sluice/admin.sock"] })

const path = (what: string): z.ZodString =>
  string("a path", "the path of a file")
    .min(1, { error: "is empty; write the path of a file" })
    .describe(`${what} Path from this file's folder.`)

const variable = checked(
  "the name of an environment variable",
  "the name of an environment variable, such as SLUICE_ADMIN_TOKEN",
  (text) =>
    /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(text)
      ? undefined
      : new Wrong(`${quote(text)} can't name an environment variable; write one such as SLUICE_ADMIN_TOKEN`),
)

const EXAMPLE = "{ address: 127.0.0.1:9901 }"
const TOKEN = "{ env: SLUICE_ADMIN_TOKEN } or { file: ./admin.token }"

export const adminSchema = either(
  [
    z.literal(false),
    object(
      {
        address: adminAddress
          .default({ host: "127.0.0.1", port: 9901 })
          .describe("host:port, or unix:PATH of a socket that only this user may open. Default 127.0.0.1:9901."),
        token: object(
          {
            env: variable.optional().describe("Name of the environment variable it is in."),
            file: path("The file it is in.").optional(),
          },
          TOKEN,
        )
          .optional()
          .describe("A secret that lets in who sends it (`authorization: Bearer …`): at least 16 characters, never written here."),
        tls: object(
          {
            certificate: path("The certificate, with its chain behind it: a PEM file."),
            key: path("Its private key."),
            clientAuthority: path("Authorities whose client certificates let somebody in, beside the token.").optional(),
          },
          "{ certificate: ./admin.pem, key: ./admin.key }",
        )
          .optional()
          .describe("Serves the admin API over TLS."),
        openMetrics: boolean().default(false).describe("/metrics needs no token, as /live and /ready never do. Default false."),
      },
      `${EXAMPLE} or false`,
    ),
  ],
  "false or an object",
  `${EXAMPLE} or false`,
)
  .prefault({})
  .describe("Admin API: readiness, metrics, configuration, orders. false turns it off.")

export type WrittenAdmin = Exclude<z.output<typeof adminSchema>, false>

/** `baseDir`: paths begin there. */
export function buildAdmin(written: WrittenAdmin | false, baseDir: string): AdminConfig | null {
  if (written === false) return null
  const { address, token, tls, openMetrics } = written
  return {
    address: socketPath(address, baseDir),
    ...(token === undefined ? {} : { token: token.file === undefined ? { env: token.env ?? "" } : { file: resolve(baseDir, token.file) } }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            certificate: resolve(baseDir, tls.certificate),
            key: resolve(baseDir, tls.key),
            clientAuthority: tls.clientAuthority === undefined ? "" : resolve(baseDir, tls.clientAuthority),
          },
        }),
    openMetrics,
  }
}

function socketPath<T>(address: T | SocketPath, baseDir: string): T | SocketPath {
  return typeof address === "object" && address !== null && "socket" in address ? { socket: resolve(baseDir, address.socket) } : address
}

/** Why a socket can't have this path; null: it can. */
export function wrongSocketPath(socket: string, baseDir: string): string | null {
  const path = resolve(baseDir, socket)
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH
    ? null
    : `the path of the socket is longer than ${MAX_SOCKET_PATH} octets, which systems don't take; write a shorter one`
}
