// The place of the admin API's socket in the file system. It is made where nobody else may look, and then linked there, so that it may
// be opened by this user alone from its first moment on. One that a gateway has left behind makes room, never one that is in use, and
// nothing that isn't a socket; of several that begin at the same time one gets the place.

import { chmodSync, linkSync, lstatSync, mkdtempSync, renameSync, rmSync, type Stats, unlinkSync } from "node:fs"
import { connect } from "node:net"
import { dirname, join } from "node:path"

/** ms for whoever listens there to show it. */
const TIMEOUT = 2000
/** Times somebody else may have been faster. */
const TRIES = 5

export class SocketPlace {
  readonly #path: string
  readonly #folder: string
  #own: Identity | null = null

  private constructor(path: string, folder: string) {
    this.#path = path
    this.#folder = folder
  }

  /** Rejects with what is in the way, and what to do. */
  static async claim(path: string): Promise<SocketPlace> {
    await makeRoom(path)
    return new SocketPlace(path, privateFolder(path))
  }

  /** Where to listen. */
  get temporary(): string {
    return join(this.#folder, "s")
  }

  /** The socket is there. Rejects with what is in the way by now. */
  async settle(): Promise<void> {
    chmodSync(this.temporary, 0o600)
    for (let i = 1; !place(this.temporary, this.#path); i++) {
      if (i === TRIES) throw new Error(`${this.#path} is taken again and again by others; write another path`)
      await makeRoom(this.#path)
    }
    this.#own = identityOf(lstatSync(this.temporary))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Nobody listens there any more. */
  leave(): void {
    try {
      rmSync(this.#folder, { recursive: true, force: true })
      if (this.#own !== null) remove(this.#path, this.#own)
    } catch {
      // A folder that is full or read-only by now is no reason for a bad end: whoever begins there next finds that nobody listens.
    }
  }
}

/** What tells a file from any other that has had its name. */
interface Identity {
  readonly inode: number
  /** Inodes are used again. */
  readonly born: number
}

function identityOf({ ino, birthtimeMs }: Stats): Identity {
  return { inode: ino, born: birthtimeMs }
}

// Beside the path, of mode 0700.
function privateFolder(path: string): string {
  return mkdtempSync(join(dirname(path), ".sluice-"))
}

/** Gives a file this name too; false: there is something of that name. */
function place(file: string, path: string): boolean {
  try {
    linkSync(file, path)
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code === "EEXIST") return false
    throw error
  }
}

/** Removes the file of that name if it is this one: it is moved aside first, since another may take its place at any moment. */
function remove(path: string, wanted: Identity): void {
  if (!is(path, wanted)) return
  const folder = privateFolder(path)
  const aside = join(folder, "s")
  try {
    renameSync(path, aside)
    if (is(aside, wanted)) unlinkSync(aside)
    else place(aside, path)
  } catch (error) {
    // Somebody else has removed it.
    if ((error as { code?: unknown }).code !== "ENOENT") throw error
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function is(path: string, { inode, born }: Identity): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats?.ino === inode && stats.birthtimeMs === born
}

async function makeRoom(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isSocket()) throw new Error(`${path} is there already and is no socket; remove it, or write another path`)
  if (await answers(path)) throw new Error(`somebody listens at ${path} already; end that gateway, or write another path`)
  remove(path, identityOf(stats))
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
