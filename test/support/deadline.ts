// Bounds on waiting, so that a test that would hang fails with the name of what it waited for.

/** Default limit of every wait in test/support, in ms. */
export const defaultLimit = 10_000

/** The promise's outcome, or a rejection naming `what` after `ms`. */
export function within<T>(promise: Promise<T>, what: string, ms: number = defaultLimit): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms)
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}

/** For what has no event to wait on (a file, another process's state): asks every 20 ms until the answer is not null or false. */
export async function until<T>(
  ask: () => T | null | false | Promise<T | null | false>,
  what: string,
  ms: number = defaultLimit,
): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer !== null && answer !== false) return answer
    if (performance.now() > end) throw new Error(`${what}: not so within ${ms} ms`)
    await sleep(20)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
