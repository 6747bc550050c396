// Octets that all HTTP/2 connections of a worker keep for slow readers: past a limit, connections with more than their share
// of it are read no further.

const LIMIT = 256 * 1024 * 1024

class Hold {
  #octets = 0

  add(octets: number): void {
    this.#octets += octets
  }

  get full(): boolean {
    return this.#octets > LIMIT
  }
}

/** The worker's. */
export const workerHold: Hold = new Hold()
