// One request to the admin API of a running gateway: over TCP, TLS or a socket in the file system.

import { type IncomingMessage, request as plainRequest } from "node:http"
import { request as secureRequest } from "node:https"
import { isIP } from "node:net"
import { type AdminTarget, userName } from "./admin-target.ts"

export interface AdminOrder {
  readonly method: string
  readonly body?: Uint8Array
  /** Of the body; default `application/wasm`. */
  readonly type?: string
  /** ms for an answer to begin; default a minute. */
  readonly timeout?: number
}

/** ms for an answer to begin, and between its parts: a swap waits for those before it. */
const TIMEOUT = 60_000

/**
 * Resolves when an answer begins; it is read by the caller. Rejects with an `Error` that says where nothing answers. `signal` ends the
 * request, and the answer when it has begun.
 */
export function requestAdmin(
  target: AdminTarget,
  path: string,
  order?: AdminOrder,
  timeout: number = TIMEOUT,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  const { host, port, socket, tls, token } = target
  const body = order?.body
  const name = isIP(host) === 6 ? `[${host}]` : host
  const options = {
    ...(socket === null ? { host, port } : { socketPath: socket }),
    method: order?.method ?? "GET",
    path,
    agent: false,
    timeout,
    headers: {
      host: socket === null ? `${name}:${port}` : "localhost",
      "x-sluice-admin": "1",
      "x-sluice-user": userName().replace(/[^\x20-\x7e]/g, "?"),
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(order === undefined ? {} : { "content-length": String(body?.length ?? 0) }),
      ...(body === undefined ? {} : { "content-type": order?.type ?? "application/wasm" }),
    },
  } as const
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void =>
      reject(new Error(`no gateway's admin API answers at ${target.shown}: ${why}`, { cause }))
    const request =
      tls === null ? plainRequest(options) : secureRequest({ ...options, ...tls, ...(isIP(host) === 0 ? { servername: host } : {}) })
    const abort = (): void => {
      fail("it was given up")
      request.destroy()
    }
    signal?.addEventListener("abort", abort, { once: true })
    request.on("close", () => signal?.removeEventListener("abort", abort))
    request.on("response", resolve)
    request.on("timeout", () => {
      fail("it took too long")
      request.destroy()
    })
    request.on("error", (error: Error & { code?: string }) => fail(error.message || (error.code ?? "failed"), error))
    if (body !== undefined) request.write(body)
    request.end()
  })
}

/** All of an answer; rejects when it is longer than `limit` octets or breaks off. */
export async function readAll(answer: IncomingMessage, limit: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of answer) {
    length += (piece as Buffer).length
    if (length > limit) {
      answer.destroy()
      throw new Error(`the answer is longer than ${limit} octets`)
    }
    pieces.push(piece as Buffer)
  }
  return Buffer.concat(pieces)
}
