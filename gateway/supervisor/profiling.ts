// Takes profiles of the gateway's threads for the admin API: has the thread write a file that this user alone may read, and hands on
// what is in it. One at a time.

import { mkdtemp, open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ProfileOutcome } from "../admin/profiles.ts"
import { missingProfile, type ProfileKind, writeProfile } from "../runtime/profile.ts"
import type { Answer, Question } from "../worker-questions.ts"

/** ms beside the time of the profile itself: a snapshot of much memory takes long. */
const PATIENCE = 60_000
/** Octets of a piece that is handed on. */
const PIECE = 256 * 1024

export interface ProfilingMeans {
  readonly workers: number
  ask(worker: number, question: Question, timeout: number): Promise<Answer>
}

export class Profiling {
  readonly #means: ProfilingMeans
  #busy = false

  constructor(means: ProfilingMeans) {
    this.#means = means
  }

  /** `worker` null: of the main thread. `signal`: nobody waits for it any more. */
  async take(profile: ProfileKind, worker: number | null, seconds: number, signal: AbortSignal): Promise<ProfileOutcome> {
    const missing = missingProfile(profile)
    if (missing !== null) return { kind: "none", status: 501, why: missing }
    if (worker !== null && worker >= this.#means.workers) {
      return { kind: "none", status: 404, why: `there is no worker ${worker}; they go from 0 to ${this.#means.workers - 1}` }
    }
    if (this.#busy) return { kind: "none", status: 409, why: "a profile is being taken; ask again when it is done" }
    this.#busy = true
    let folder = ""
    try {
      folder = await mkdtemp(join(tmpdir(), "sluice-profile-"))
      const file = join(folder, "profile")
      if (worker === null) await writeProfile(profile, seconds, file)
      else {
        const question: Question = { what: "profile", profile, seconds, file }
        const answer = await this.#means.ask(worker, question, seconds * 1000 + PATIENCE)
        if (answer.what === "failed") return { kind: "none", status: 503, why: answer.why }
      }
      return await passOn(file, signal)
    } catch (error) {
      return { kind: "none", status: 503, why: error instanceof Error ? error.message : String(error) }
    } finally {
      this.#busy = false
      // What is open stays readable.
      if (folder !== "") await rm(folder, { recursive: true, force: true })
    }
  }
}

// The file is held open for as long as somebody reads it, and no longer: not when reading fails, nor when he goes before he has begun.
async function passOn(file: string, signal: AbortSignal): Promise<ProfileOutcome> {
  const handle = await open(file, "r")
  const close = (): Promise<void> => {
    signal.removeEventListener("abort", gone)
    return handle.close()
  }
  // Whoever reads then hears of the end of his connection.
  const gone = (): void => void close().catch(() => {})
  signal.addEventListener("abort", gone, { once: true })
  try {
    signal.throwIfAborted()
    const { size } = await handle.stat()
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(PIECE), 0, PIECE)
            if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead))
          } catch (error) {
            await close()
            throw error
          }
          await close()
          controller.close()
        },
        cancel: close,
      },
      { highWaterMark: 0 },
    )
    return { kind: "made", octets: size, body }
  } catch (error) {
    await close()
    throw error
  }
}
