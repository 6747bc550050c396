// Makes room for the admin API's socket in the file system: takes away one that a gateway has left behind, never one that is in use,
// and nothing that isn't a socket.

import { lstatSync, unlinkSync } from "node:fs"
import { connect } from "node:net"

/** ms for whoever listens there to show it. */
const TIMEOUT = 2000

/** Rejects with what is in the way, and what to do. */
export async function makeRoom(path: string): Promise<void> {
  let inode: number
  try {
    const stats = lstatSync(path)
    if (!stats.isSocket()) throw new Error(`${path} is there already and is no socket; remove it, or write another path`)
    inode = stats.ino
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return
    throw error
  }
  if (await answers(path)) throw new Error(`somebody listens at ${path} already; end that gateway, or write another path`)
  // Not one that has taken its place meanwhile.
  if (lstatSync(path).ino === inode) unlinkSync(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const done = (settle: () => void): void => {
      clearTimeout(timer)
      socket.destroy()
      settle()
    }
    const timer = setTimeout(() => done(() => resolve(true)), TIMEOUT)
    socket.on("connect", () => done(() => resolve(true)))
    socket.on("error", (error: Error & { code?: string }) =>
      done(() => {
        // Nobody has it open: it was left behind.
        if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false)
        else reject(new Error(`${path} can't be looked at: ${error.message}; remove it, or write another path`))
      }),
    )
  })
}
