// How long JavaScript's backtracking engine can take over a regular expression, whatever the value it is matched against: refuses what
// could take more than a constant times the square of the value's length. Works on the parsed expression; knows nothing of its syntax.
//
// The engine's time is the number of ways to get to each place in the expression with each part of the value consumed. Two things make
// ways: repetitions that can hand text to each other (each adds a power of the length), and bounded choices (each multiplies). A loop in
// which a round has two ways is exponential, so that loops have to be deterministic inside.

/** 0–127: the character; 128: any other. */
export type Chars = Uint8Array

/** A character or a group, and how often it is taken. */
export interface Part {
  /** Characters it can consume anywhere in it. */
  readonly chars: Chars
  /** Characters it can begin with. */
  readonly first: Chars
  /** Characters with which it can go on where it could also end. */
  readonly tail: Chars
  /** Characters it ends with whenever it isn't empty, if they are exactly one place in it. */
  readonly last: Chars | null
  readonly nullable: boolean
  readonly shortest: number
  readonly longest: number
  /** How many lengths its text can have, at most. */
  readonly lengths: number
  readonly min: number
  readonly max: number
  /** Null: one character. */
  readonly group: Group | null
}

interface Group {
  readonly alternatives: readonly Sequence[]
  /** For each alternative, those whose fixed beginnings don't tell them from it. */
  readonly similar: readonly (readonly number[])[]
  readonly alike: boolean
  /** One of the alternatives can be empty. */
  readonly nullable: boolean
  /** Of one round. */
  readonly lengths: number
}

export type Sequence = readonly Part[]

export class Refused extends Error {}

/** A part that can have this many lengths backtracks like an endless one. */
const WIDE = 16
/** Repetitions that can compete for the same text: cost grows with the value's length to this power. */
const MAX_COMPETING = 2
/** Ways that bounded choices make together. */
const MAX_WAYS = 256
/** Rounds of a group that are gone through one by one. */
const MAX_ROUNDS = 8
/** Parts gone through, with the repetitions open at each: groups in groups that repeat are gone through again and again. */
const MAX_STEPS = 20_000

const NONE: Chars = new Uint8Array(129)

export function overlap(a: Chars, b: Chars): boolean {
  for (let code = 0; code < 129; code++) if (a[code] === 1 && b[code] === 1) return true
  return false
}

export function union(a: Chars, b: Chars): Chars {
  const out = new Uint8Array(129)
  for (let code = 0; code < 129; code++) out[code] = a[code] | b[code]
  return out
}

export function character(set: Chars): Part {
  return {
    chars: set,
    first: set,
    tail: NONE,
    last: set,
    nullable: false,
    shortest: 1,
    longest: 1,
    lengths: 1,
    min: 1,
    max: 1,
    group: null,
  }
}

export function grouped(alternatives: readonly Sequence[]): Part {
  let [chars, first, tail] = [NONE, NONE, NONE]
  let last: Chars | null = NONE
  let nullable = false
  let [shortest, longest, lengths] = [Infinity, 0, 0]
  for (const sequence of alternatives) {
    let [low, high, many] = [0, 0, 1]
    for (const part of sequence) {
      chars = union(chars, part.chars)
      low += part.shortest
      high += part.longest
      many *= part.lengths
    }
    const empty = sequence.every((part) => part.nullable)
    first = union(first, firstOf(sequence, NONE))
    for (let i = sequence.length - 1; i >= 0; i--) {
      tail = union(tail, sequence[i].tail)
      if (!sequence[i].nullable) break
      tail = union(tail, sequence[i].first)
    }
    const end = sequence.length === 0 ? null : sequence[sequence.length - 1].last
    last = last === null || end === null || sequence[sequence.length - 1].nullable ? null : union(last, end)
    nullable ||= empty
    shortest = Math.min(shortest, low)
    longest = Math.max(longest, high)
    lengths += many
  }
  lengths = Math.min(lengths, longest - shortest + 1)
  const similar = alternatives.map((a, i) => alternatives.flatMap((b, j) => (i !== j && alike(a, b) ? [j] : [])))
  const group = { alternatives, similar, alike: similar.some((others) => others.length > 0), nullable, lengths }
  return { chars, first, tail, last, nullable, shortest, longest, lengths, min: 1, max: 1, group }
}

/** Throws when one round after another could take exponential time. */
export function repeated(part: Part, min: number, max: number): Part {
  const { group, first } = part
  if (group !== null && (max > MAX_ROUNDS || max - min >= WIDE)) {
    if (part.nullable) throw new Refused("repeats something that can be empty; make the inner part match at least one character")
    if (group.alike)
      throw new Refused(
        "repeats alternatives that begin alike, which can take exponential time; make them differ in their first characters",
      )
    if (!deterministic(group, first))
      throw new Refused(
        "nests repetitions, as in (a+)+, which can take exponential time; repeat once, or put a separator inside, as in (/[^/]+)*",
      )
  }
  const shortest = part.shortest * min
  const longest = max === 0 || part.longest === 0 ? 0 : part.longest * max
  const possible = longest - shortest + 1
  return {
    chars: max === 0 ? NONE : part.chars,
    first: max === 0 ? NONE : first,
    tail: max === 0 ? NONE : max > min || (max > 1 && group !== null) ? union(part.tail, first) : part.tail,
    last: group !== null || (min === 1 && max === 1) || max <= 1 ? part.last : null,
    nullable: min === 0 || part.nullable,
    shortest,
    longest,
    lengths: max === 1 ? Math.min(possible, part.lengths + (max - min)) : possible,
    min,
    max,
    group,
  }
}

/** What can come first in a sequence, or behind it when all of it can be empty. */
function firstOf(sequence: Sequence, follow: Chars, from = 0): Chars {
  let set = NONE
  for (let i = from; i < sequence.length; i++) {
    set = union(set, sequence[i].first)
    if (!sequence[i].nullable) return set
  }
  return union(set, follow)
}

function single(part: Part): boolean {
  return part.group === null && part.min === 1 && part.max === 1
}

/** Nothing in the fixed beginnings of two alternatives tells them apart. */
function alike(a: Sequence, b: Sequence): boolean {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (!a[i].nullable && !b[i].nullable && !overlap(a[i].first, b[i].first)) return false
    if (!single(a[i]) || !single(b[i])) return true
  }
  return true
}

/** The next character always says how to go on, except between alternatives that soon differ. */
function deterministic(group: Group, follow: Chars): boolean {
  if (group.alike) return false
  for (const sequence of group.alternatives) {
    for (let i = 0; i < sequence.length; i++) {
      const part = sequence[i]
      const next = firstOf(sequence, follow, i + 1)
      if (part.max > part.min && overlap(part.first, next)) return false
      if (part.group === null) continue
      if (part.group.nullable && (part.max > 1 || part.min === 0)) return false
      if (!deterministic(part.group, part.max > 1 ? union(part.first, next) : next)) return false
    }
  }
  return true
}

/** A repetition that was left at a place other than it might have been. */
interface Open {
  /** Characters it and everything behind it can consume. */
  readonly reach: Chars
  /** Fixed characters behind it that nothing further behind can consume. What can't consume them either is reached in one way. */
  readonly guards: readonly Chars[]
  /** Powers of the value's length it has been reached in. */
  readonly power: number
}

interface State {
  readonly open: ReadonlyMap<number, Open>
  readonly power: number
  readonly ways: number
}

function competes(open: Open, set: Chars): boolean {
  return overlap(open.reach, set) && open.guards.every((guard) => overlap(guard, set))
}

function competing(state: State, set: Chars): boolean {
  for (const open of state.open.values()) if (competes(open, set)) return true
  return false
}

/**
 * Either of them, on two ways through a part that consumes `chars`. A repetition open in both is as it is in the worse; one that was open
 * before and is closed in one only is as open as can be, since what closed it or guards it is not on the other way.
 */
function merged(a: State, b: State, before: ReadonlyMap<number, Open>, chars: Chars): State {
  const open = new Map<number, Open>()
  for (const id of new Set([...a.open.keys(), ...b.open.keys()])) {
    const [one, other] = [a.open.get(id), b.open.get(id)]
    const known = one ?? other
    if (known === undefined) continue
    if (one !== undefined && other !== undefined)
      open.set(id, {
        reach: union(one.reach, other.reach),
        guards: one.guards.filter((guard) => other.guards.includes(guard)),
        power: Math.max(one.power, other.power),
      })
    else open.set(id, before.has(id) ? { reach: union(known.reach, chars), guards: [], power: known.power } : known)
  }
  return { open, power: Math.max(a.power, b.power), ways: Math.max(a.ways, b.ways) }
}

class Analysis {
  #steps = 0
  #ids = 0

  #step(state: State): void {
    this.#steps += 1 + state.open.size
    if (this.#steps > MAX_STEPS) throw new Refused("repeats too much within repetitions; write several routes or a simpler expression")
  }

  #multiplied(state: State, by: number): State {
    const ways = state.ways * by
    if (ways > MAX_WAYS)
      throw new Refused("has too many optional parts and alternatives that begin alike; write several routes or a simpler expression")
    return { ...state, ways }
  }

  #sequence(sequence: Sequence, from: State, follow: Chars): State {
    let state = from
    for (let i = 0; i < sequence.length; i++) {
      const part = sequence[i]
      if (part.max === 0) continue
      const next = firstOf(sequence, follow, i + 1)
      state = part.group !== null && part.max <= MAX_ROUNDS ? this.#rounds(part, part.group, state, next) : this.#whole(part, state, next)
    }
    return state
  }

  /** A group that is taken a few times: what is in it competes with what is around it. */
  #rounds(part: Part, group: Group, from: State, follow: Chars): State {
    this.#step(from)
    const inner = part.max > 1 ? union(part.first, follow) : follow
    let state = from
    let out: State | null = part.min === 0 ? from : null
    let met = false
    for (let round = 1; round <= part.max; round++) {
      met ||= competing(state, part.chars)
      state = this.#alternatives(part, group, state, inner)
      if (round >= part.min) out = out === null ? state : merged(out, state, out.open, part.chars)
    }
    const sure = part.max === part.min || (!group.nullable && !met && !overlap(part.first, follow))
    return this.#multiplied(out ?? state, sure ? 1 : part.max - part.min + 1)
  }

  #alternatives(part: Part, group: Group, from: State, follow: Chars): State {
    const start = { ...from, ways: 1 }
    const outs = group.alternatives.map((sequence) => this.#sequence(sequence, start, follow))
    let all = outs[0]
    for (const out of outs.slice(1)) all = merged(all, out, from.open, part.chars)
    // Behind an open repetition, alternatives can begin at different places, so that what tells them apart doesn't.
    const shifted = group.lengths > 1 && competing(from, part.chars)
    let most = shifted ? outs.reduce((sum, out) => sum + out.ways, 0) : 1
    for (let i = 0; i < outs.length; i++)
      most = Math.max(
        most,
        group.similar[i].reduce((sum, j) => sum + outs[j].ways, outs[i].ways),
      )
    return this.#multiplied({ ...all, ways: from.ways }, most)
  }

  /** A character, or a group that is taken so often that it counts as one repetition; such a group is deterministic inside. */
  #whole(part: Part, from: State, follow: Chars): State {
    this.#step(from)
    const wide = part.lengths > WIDE
    const unsure = part.lengths > 1 && overlap(part.tail, follow)
    const open = new Map<number, Open>()
    let power = from.power
    let met = false
    for (const [id, other] of from.open) {
      // What neither the repetition nor anything behind it can consume is at one place, whatever was taken before.
      if (!overlap(other.reach, part.first)) continue
      if (competes(other, part.chars)) {
        met = true
        if (wide) power = Math.max(power, other.power + 1)
      }
      const guards = other.guards.filter((guard) => !overlap(guard, part.chars))
      if (single(part)) guards.push(part.chars)
      open.set(id, { reach: union(other.reach, part.chars), guards, power: other.power })
    }
    if (power >= MAX_COMPETING)
      throw new Refused(
        "has more than two wide repetitions that compete for the same text, or more than one pair of them; narrow them, as in [^/]+ between slashes",
      )
    if (wide && unsure) open.set(this.#ids++, { reach: part.chars, guards: part.last === null ? [] : [part.last], power })
    const taken = { open, power, ways: from.ways }
    const state = part.nullable ? merged(from, taken, from.open, part.chars) : taken
    return !wide && part.lengths > 1 && (unsure || met) ? this.#multiplied(state, part.lengths) : state
  }

  expression(part: Part): void {
    this.#sequence([part], { open: new Map(), power: 0, ways: 1 }, NONE)
  }
}

/** Throws when a match of the whole value could take longer than a constant times the square of its length. */
export function checkCost(expression: Part): void {
  new Analysis().expression(expression)
}
