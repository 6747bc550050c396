import { expect, test } from "vitest"
import { claimPort } from "../../gateway/supervisor/ports.ts"

test("ports claimed together are never the same, and free afterwards", async () => {
  const address = { host: "127.0.0.1", port: 0 }
  const claims = await Promise.all(Array.from({ length: 200 }, (_, i) => claimPort(`listener-${i}`, address)))
  expect(new Set(claims.map(({ port }) => port)).size).toBe(200)
  const { port } = claims[0]
  await expect(claimPort("other", { host: "127.0.0.1", port })).rejects.toThrow("the address is in use")
  await Promise.all(claims.map((claim) => claim.release()))
  const again = await claimPort("other", { host: "127.0.0.1", port })
  expect(again.port).toBe(port)
  await again.release()
})
