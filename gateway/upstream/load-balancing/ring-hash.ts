// Ring hash: endpoints have points on a circle of 2³², as many as they weigh, and a key belongs to the next point. An endpoint that
// comes or goes moves the keys next to its points, and no others.

import { hashText, mixBits } from "../../http/text-hash.ts"
import type { HashTable } from "./hashed.ts"

/** Points of an endpoint of the least weight: shares come out within some 5 % of weights. Two endpoints have 1024. */
const POINTS_EACH = 512
/** Points of a ring; where they would be more, each endpoint has half of them, or a quarter … */
const MAX_POINTS = 131_072
/** Indices take the lower bits while points are sorted. */
const INDICES = 2 ** 20

export class Ring implements HashTable {
  /** In ascending order. */
  readonly #points: Uint32Array
  readonly #owners: Uint32Array
  /** By the first bits of a key, the first point that may be its. As many as there are points, so that few have to be passed. */
  readonly #starts: Uint32Array
  readonly #shift: number

  constructor(endpoints: readonly { readonly address: string }[], weights: Float64Array) {
    // An endpoint's points must not depend on how many others there are, or these would move keys too.
    let unit = 0
    let sum = 0
    for (const weight of weights) {
      unit = greatestDivisor(weight, unit)
      sum += weight
    }
    let each = POINTS_EACH / unit
    while (each * sum > MAX_POINTS) each /= 2
    const sorted: number[] = []
    for (let i = 0; i < endpoints.length; i++) {
      const seed = hashText(endpoints[i].address)
      const share = Math.max(1, Math.round(each * weights[i]))
      for (let j = 1; j <= share; j++) sorted.push(mixBits(seed ^ mixBits(j)) * INDICES + i)
    }
    const order = Float64Array.from(sorted).sort()
    this.#points = new Uint32Array(order.length)
    this.#owners = new Uint32Array(order.length)
    for (let i = 0; i < order.length; i++) {
      const point = Math.floor(order[i] / INDICES)
      this.#points[i] = point
      this.#owners[i] = order[i] - point * INDICES
    }
    const bits = Math.ceil(Math.log2(order.length))
    this.#shift = 32 - bits
    this.#starts = new Uint32Array(2 ** bits)
    for (let i = 0, start = 0; i < this.#starts.length; i++) {
      while (start < order.length && this.#points[start] < i * 2 ** this.#shift) start++
      this.#starts[i] = start
    }
  }

  get size(): number {
    return this.#points.length
  }

  at(key: number, step: number): number {
    const points = this.#points
    let i = this.#starts[key >>> this.#shift]
    while (i < points.length && points[i] < key) i++
    return this.#owners[(i + step) % points.length]
  }
}

/** Of whole numbers, not both 0. */
function greatestDivisor(a: number, b: number): number {
  while (b > 0) {
    const rest = a % b
    a = b
    b = rest
  }
  return a
}
