// Clients that speak TLS: the runtime's own, with the TCP connection beneath at hand, and OpenSSL's, for what a runtime can't do.

import { spawn } from "node:child_process"
import { connect as connectTcp, type Socket } from "node:net"
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls"
import { within } from "./deadline.ts"
import { RawClient, type Response } from "./raw-client.ts"

export interface SecureClient {
  readonly client: RawClient
  readonly socket: TLSSocket
  readonly tcp: Socket
}

/** Shakes hands with 127.0.0.1; rejects with the runtime's error. Nothing is verified but what the options ask for. */
export function secure(port: number, options: ConnectionOptions = {}): Promise<SecureClient> {
  const tcp = connectTcp({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
  const connected = new Promise<SecureClient>((resolve, reject) => {
    tcp.once("error", reject)
    tcp.once("connect", () => {
      tcp.removeListener("error", reject)
      tcp.on("error", () => {})
      const socket = connect({ socket: tcp, allowHalfOpen: true, rejectUnauthorized: false, ...options } as ConnectionOptions)
      socket.once("error", reject)
      socket.once("secureConnect", () => {
        socket.removeListener("error", reject)
        resolve({ client: RawClient.over(socket), socket, tcp })
      })
    })
  })
  return within(connected, `TLS with 127.0.0.1:${port}`)
}

/** GET over TLS on a connection of its own, with the fields given. */
export async function getSecurely(
  port: number,
  host: string,
  options: ConnectionOptions = {},
  fields: Readonly<Record<string, string>> = {},
  path: string = "/",
): Promise<Response> {
  const { client } = await secure(port, { servername: host, ...options })
  try {
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    client.send(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines.join("")}\r\n`)
    return await client.readResponse()
  } finally {
    client.destroy()
  }
}

/**
 * Runs `openssl s_client` with what it is to send, until `done` is seen in its output or the server ends the connection; what
 * it said. Null = there is no OpenSSL here.
 */
export function openssl(port: number, args: readonly string[], send: string, done: RegExp): Promise<string | null> {
  const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...args], { stdio: ["pipe", "pipe", "pipe"] })
  let output = ""
  const ended = new Promise<string | null>((resolve) => {
    child.on("error", () => resolve(null))
    child.on("close", () => resolve(output))
    const take = (text: string): void => {
      output += text
      if (done.test(output)) child.kill("SIGKILL")
    }
    child.stdout.setEncoding("utf8").on("data", take)
    child.stderr.setEncoding("utf8").on("data", take)
  })
  child.stdin.on("error", () => {})
  child.stdin.write(send)
  return within(ended, `openssl s_client ${args.join(" ")}`).finally(() => child.kill("SIGKILL"))
}

/** Runs curl; its exit code and output. Null = there is no curl here. */
export function curl(args: readonly string[]): Promise<{ code: number; text: string } | null> {
  const child = spawn("curl", ["--silent", "--show-error", "--max-time", "8", ...args], { stdio: ["ignore", "pipe", "pipe"] })
  let text = ""
  const ended = new Promise<{ code: number; text: string } | null>((resolve) => {
    child.on("error", () => resolve(null))
    child.on("close", (code) => resolve({ code: code ?? -1, text }))
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part
    })
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      text += part
    })
  })
  return within(ended, "curl").finally(() => child.kill("SIGKILL"))
}
