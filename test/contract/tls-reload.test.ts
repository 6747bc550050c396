// Reloads that put TLS on a listener, or take it off: the address stays, and so do the connections on it.

import { createServer, type Server } from "node:tls"
import { afterAll, beforeAll, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { Gateway } from "../support/gateway.ts"
import { listen } from "../support/ports.ts"
import type { RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"
import { secure } from "../support/tls-client.ts"

const authority = new Authority()
const ours = authority.issue({ commonName: "the gateway", names: ["a.test"] })
const theirs = authority.issue({ commonName: "the service", names: ["a.test"] })
let service: Server
let echo: TcpOrigin
let gateway: Gateway

function config(ends: boolean): object {
  const tls = ends ? { tls: { certificates: [{ cert: "a.pem", key: "a.key" }] } } : {}
  return {
    admin: false,
    workers: 1,
    listeners: (["tls", "auto"] as const).map((protocol) => ({
      name: protocol,
      address: "127.0.0.1:0",
      protocol,
      backends: ends ? "echo" : "service",
      ...tls,
    })),
    services: {
      echo: { endpoints: [echo.address] },
      service: { endpoints: [`127.0.0.1:${(service.address() as { port: number }).port}`] },
    },
    routes: [{ respond: { status: 200, body: "here" } }],
  }
}

beforeAll(async () => {
  service = createServer({ cert: theirs.cert, key: theirs.key }, (socket) => {
    socket.on("error", () => {})
    socket.pipe(socket)
  })
  await listen(service)
  echo = await TcpOrigin.echo()
  gateway = await Gateway.start({ files: { "a.pem": ours.cert, "a.key": ours.key }, config: config(false) })
})

afterAll(async () => {
  await gateway?.stop()
  service?.close()
  await echo?.stop()
})

async function reload(ends: boolean): Promise<void> {
  const from = gateway.log.length
  gateway.writeConfig(config(ends))
  await gateway.waitForLog(({ message }) => message === "configuration taken", "the reload", undefined, from)
}

test.each(["tls", "auto"])("%s", async (listener) => {
  const port = gateway.port(listener)
  const clients: RawClient[] = []
  const ask = async (): Promise<string> => {
    const { client, socket } = await secure(port, { servername: "a.test" })
    clients.push(client)
    client.send("octet\n")
    expect((await client.readBytes(6)).toString()).toBe("octet\n")
    return socket.getPeerX509Certificate()?.subject ?? ""
  }
  expect(await ask()).toBe("CN=the service")
  await reload(true)
  expect(await ask()).toBe("CN=the gateway")
  await reload(false)
  expect(await ask()).toBe("CN=the service")
  // Those that were there have stayed.
  for (const client of clients) {
    client.send("more")
    expect((await client.readBytes(4)).toString()).toBe("more")
    client.destroy()
  }
})
