// Asks the workers for the connections that are open, for the admin API.

import type { ConnectionStatus, ConnectionsStatus } from "../admin/connections.ts"
import type { WorkerPool } from "./worker-pool.ts"

/** ms a worker has to tell of its connections. */
const CONNECTIONS_TIMEOUT = 2000

/** At most `limit`, the oldest first. */
export async function openConnections(pool: WorkerPool, limit: number): Promise<ConnectionsStatus> {
  const workers = Array.from({ length: pool.size }, (_, worker) => worker)
  const answers = await Promise.all(workers.map((worker) => pool.ask(worker, { what: "connections", limit }, CONNECTIONS_TIMEOUT)))
  const connections: ConnectionStatus[] = []
  const missing: string[] = []
  let total = 0
  for (const [worker, answer] of answers.entries()) {
    if (answer.what === "failed") missing.push(answer.why)
    if (answer.what !== "connections") continue
    total += answer.open.total
    for (const connection of answer.open.connections) connections.push({ worker, ...connection })
  }
  connections.sort((a, b) => b.age - a.age)
  return { total, connections: connections.slice(0, limit), missing }
}
