import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, test } from "vitest"
import { fetchModule } from "../../../gateway/wasm/fetch-module.ts"
import { freePort } from "../../support/ports.ts"

async function fetched(answer: RequestListener, limit = 1000, timeout = 10_000): Promise<Uint8Array | string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  try {
    return await fetchModule(`http://127.0.0.1:${(server.address() as AddressInfo).port}/m.wasm`, limit, timeout)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test("answers with the octets, in pieces or not, and after a redirect", async () => {
  expect(await fetched((_, response) => response.end("abc"))).toEqual(new TextEncoder().encode("abc"))
  const pieces: RequestListener = (_, response) => {
    response.write("ab")
    setImmediate(() => response.end("c"))
  }
  expect(await fetched(pieces)).toEqual(new TextEncoder().encode("abc"))
  const redirect: RequestListener = ({ url }, response) => {
    if (url === "/m.wasm") response.writeHead(302, { location: "/there" }).end()
    else response.end("there")
  }
  expect(await fetched(redirect)).toEqual(new TextEncoder().encode("there"))
})

test("says what is wrong", async () => {
  expect(await fetched((_, response) => response.writeHead(404).end("no"))).toMatch(/answers 404$/)
  expect(await fetched((_, response) => response.end("a".repeat(1001)))).toMatch(/is larger than/)
  const endless: RequestListener = (_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write("a".repeat(500)));
    }
    response.on("drain", more)
    more()
  }
  expect(await fetched(endless)).toMatch(/is larger than/)
  expect(await fetched((_, response) => response.write("a"), 1000, 200)).toMatch(/could not be fetched within 0.2 s/)
  expect(await fetched((_, response) => response.socket?.destroy())).toMatch(/can't be fetched: ./)
  expect(await fetchModule(`http://127.0.0.1:${await freePort()}/m.wasm`, 1000)).toMatch(/can't be fetched: ./)
})
