// Steps of a backtracking matcher over an expression and a text it doesn't match, counted without taking them: how many ways there are to
// each state at each place in the text.

/** A character or alternatives, taken from min to max times. */
export interface Repeated {
  /** A character's source, or sequences. */
  readonly of: string | readonly (readonly Repeated[])[]
  readonly sign: "" | "*" | "+" | "?" | `{${string}}`
}

export function source(sequence: readonly Repeated[]): string {
  return sequence.map(({ of, sign }) => (typeof of === "string" ? of : `(${of.map(source).join("|")})`) + sign).join("")
}

const BOUNDS: Readonly<Record<string, readonly [number, number]>> = { "": [1, 1], "*": [0, Infinity], "+": [1, Infinity], "?": [0, 1] }

export function bounds(sign: string): readonly [number, number] {
  const known = BOUNDS[sign]
  if (known !== undefined) return known
  const [min, max] = sign.slice(1, -1).split(",")
  return [Number(min), max === undefined ? Number(min) : max === "" ? Infinity : Number(max)]
}

const TAKEN = new Map<string, Uint8Array>()

function taken(character: string): Uint8Array {
  let known = TAKEN.get(character)
  if (known === undefined) {
    const regex = new RegExp(`^${character}$`)
    known = Uint8Array.from({ length: 128 }, (_, code) => (regex.test(String.fromCharCode(code)) ? 1 : 0))
    TAKEN.set(character, known)
  }
  return known
}

export class Steps {
  /** By character code; null: none. */
  readonly #takes: (Uint8Array | null)[] = []
  /** Where each state leads: with a character when it takes one, else without. */
  readonly #to: number[][] = []
  readonly #order: number[] = []

  /** Endless repetitions of what can be empty have no count. */
  constructor(sequence: readonly Repeated[]) {
    const start = this.#state(null)
    this.#sequence(sequence, start)
    // States before those they lead to without a character.
    const seen = new Set<number>()
    const visit = (state: number): void => {
      seen.add(state)
      if (this.#takes[state] === null) for (const to of this.#to[state]) if (!seen.has(to)) visit(to)
      this.#order.unshift(state)
    }
    for (let state = 0; state < this.#takes.length; state++) if (!seen.has(state)) visit(state)
  }

  get states(): number {
    return this.#takes.length
  }

  count(text: string): number {
    let now = new Float64Array(this.#takes.length)
    now[0] = 1
    let steps = 0
    for (let at = 0; at <= text.length; at++) {
      const next = new Float64Array(this.#takes.length)
      let alive = false
      for (const state of this.#order) {
        const ways = now[state]
        if (ways === 0) continue
        alive = true
        steps += ways
        const takes = this.#takes[state]
        if (takes === null) for (const to of this.#to[state]) now[to] += ways
        else if (at < text.length && takes[text.charCodeAt(at)] === 1) for (const to of this.#to[state]) next[to] += ways
      }
      if (!alive) break
      now = next
    }
    return steps
  }

  #state(takes: Uint8Array | null): number {
    this.#to.push([])
    return this.#takes.push(takes) - 1
  }

  #sequence(sequence: readonly Repeated[], from: number): number {
    let at = from
    for (const { of, sign } of sequence) {
      const [min, max] = bounds(sign)
      for (let i = 0; i < min; i++) at = this.#once(of, at)
      if (max === Infinity) {
        const loop = this.#state(null)
        this.#to[at].push(loop)
        this.#to[this.#once(of, loop)].push(loop)
        at = this.#state(null)
        this.#to[loop].push(at)
      } else if (max > min) {
        const ends = [at]
        for (let i = min; i < max; i++) {
          at = this.#once(of, at)
          ends.push(at)
        }
        at = this.#state(null)
        for (const end of ends) this.#to[end].push(at)
      }
    }
    return at
  }

  #once(of: Repeated["of"], from: number): number {
    const end = this.#state(null)
    if (typeof of === "string") {
      const taking = this.#state(taken(of))
      this.#to[from].push(taking)
      this.#to[taking].push(end)
    } else
      for (const sequence of of) {
        const begin = this.#state(null)
        this.#to[from].push(begin)
        this.#to[this.#sequence(sequence, begin)].push(end)
      }
    return end
  }
}
