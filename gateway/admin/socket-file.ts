// The place of the admin API's socket in the file system. It is made where nobody else may look, and then moved there, so that it may
// be opened by this user alone from its first moment on. One that a gateway has left behind makes room, never one that is in use, and
// nothing that isn't a socket.

import { chmodSync, lstatSync, mkdtempSync, renameSync, rmSync, unlinkSync } from "node:fs"
import { connect } from "node:net"
import { dirname, join } from "node:path"

/** ms for whoever listens there to show it. */
const TIMEOUT = 2000

export class SocketPlace {
  readonly #path: string
  readonly #folder: string
  #inode = -1

  private constructor(path: string, folder: string) {
    this.#path = path
    this.#folder = folder
  }

  /** Rejects with what is in the way, and what to do. */
  static async claim(path: string): Promise<SocketPlace> {
    await makeRoom(path)
    // Of mode 0700.
    return new SocketPlace(path, mkdtempSync(join(dirname(path), ".sluice-")))
  }

  /** Where to listen. */
  get temporary(): string {
    return join(this.#folder, "s")
  }

  /** The socket is there. */
  settle(): void {
    chmodSync(this.temporary, 0o600)
    this.#inode = lstatSync(this.temporary).ino
    renameSync(this.temporary, this.#path)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Nobody listens there any more. */
  leave(): void {
    rmSync(this.#folder, { recursive: true, force: true })
    if (inodeOf(this.#path) === this.#inode) unlinkSync(this.#path)
  }
}

/** −2: there is nothing. */
function inodeOf(path: string): number {
  try {
    return lstatSync(path).ino
  } catch {
    return -2
  }
}

async function makeRoom(path: string): Promise<void> {
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
  if (inodeOf(path) === inode) unlinkSync(path)
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
