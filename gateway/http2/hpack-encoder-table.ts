// The dynamic table our encoder fills (RFC 7541 §2.3.2), with what it takes to find a field in it. Entries are numbered as they are
// added, and whatever refers to one does so by number: that it was evicted shows by its age, so eviction has nothing to keep in step
// but the names of this connection. All of it is bounded by the table's size.

import { type FieldName, KNOWN_NAMES, otherName } from "./hpack-names.ts"
import { ENTRY_OVERHEAD, FIRST_DYNAMIC } from "./hpack-static.ts"

/** Octets our tables use at most, whatever the peer allows. */
export const LARGEST_TABLE = 4096
const SLOTS = LARGEST_TABLE / ENTRY_OVERHEAD
const MASK = SLOTS - 1
const BUCKETS = 256
/** Entries of one bucket that are looked at. */
const DEEPEST = 8
/** {@link EncoderTable.find}: there is no such entry. */
export const ABSENT = 0
/** {@link EncoderTable.find}: there may be one, in a bucket too crowded to look through. */
export const CROWDED = -1

/** Stands in slots that were never used. */
const NOBODY = otherName("", -1)

export class EncoderTable {
  /** Octets in use, and how many may be. */
  size = 0
  limit = LARGEST_TABLE
  count = 0
  /** Number of the newest entry. It wraps at 32 bits, which is why an entry's name is compared whenever a number led to it. */
  #newest = 0
  readonly #names: FieldName[] = new Array<FieldName>(SLOTS).fill(NOBODY)
  readonly #values: string[] = new Array<string>(SLOTS).fill("")
  readonly #hashes: Int32Array = new Int32Array(SLOTS)
  /** The entry before in the same bucket. */
  readonly #before: Int32Array = new Int32Array(SLOTS)
  /** The newest entry of a bucket. */
  readonly #buckets: Int32Array = new Int32Array(BUCKETS)
  /** The newest entry of a name, by the name's id. */
  readonly #ofName: Int32Array = new Int32Array(KNOWN_NAMES.size + SLOTS)
  /** Names in use here that {@link KNOWN_NAMES} lacks, and ids for more of them. */
  readonly #ownNames: Map<string, FieldName> = new Map()
  readonly #freeIds: number[] = []
  #ids: number = KNOWN_NAMES.size

  /** The entry of a name that isn't known everywhere; undefined when no entry of this table has it. */
  ownName(name: string): FieldName | undefined {
    return this.#ownNames.get(name)
  }

  /** The index of that field, {@link ABSENT} or {@link CROWDED}. */
  find(name: FieldName, value: string): number {
    const count = this.count
    const newest = this.#newest
    const last = this.#ofName[name.id]
    let age = (newest - last) >>> 0
    // No entry of that name outlives its newest.
    if (age >= count) return ABSENT
    let slot = last & MASK
    if (this.#values[slot] === value && this.#names[slot] === name) return FIRST_DYNAMIC + age
    const hash = sampledHash(name.id, value)
    let number = this.#buckets[hash & (BUCKETS - 1)]
    for (let steps = 0; steps < DEEPEST; steps++) {
      age = (newest - number) >>> 0
      if (age >= count) return ABSENT
      slot = number & MASK
      if (this.#hashes[slot] === hash && this.#values[slot] === value && this.#names[slot] === name) return FIRST_DYNAMIC + age
      number = this.#before[slot]
    }
    return CROWDED
  }

  /** An index with that name; 0 when neither table has it. */
  nameIndex(name: FieldName): number {
    if (name.index !== 0) return name.index
    const last = this.#ofName[name.id]
    const age = (this.#newest - last) >>> 0
    return age < this.count && this.#names[last & MASK] === name ? FIRST_DYNAMIC + age : 0
  }

  /** Adds a field, which is no larger than the table. `name`: of {@link KNOWN_NAMES}, or {@link ownName}'s, or any for a new one. */
  add(known: FieldName | undefined, name: string, value: string): void {
    const size = name.length + value.length + ENTRY_OVERHEAD
    this.#shrinkTo(this.limit - size)
    // After that, since the name's last entry may have gone.
    const entry = known !== undefined && known.id < KNOWN_NAMES.size ? known : (this.#ownNames.get(name) ?? this.#newName(name))
    const number = (this.#newest + 1) | 0
    const slot = number & MASK
    const hash = sampledHash(entry.id, value)
    const bucket = hash & (BUCKETS - 1)
    this.#names[slot] = entry
    this.#values[slot] = value
    this.#hashes[slot] = hash
    this.#before[slot] = this.#buckets[bucket]
    this.#buckets[bucket] = number
    this.#ofName[entry.id] = number
    this.#newest = number
    this.count++
    this.size += size
  }

  /** Sets the limit, {@link LARGEST_TABLE} at most, and evicts what is over it. */
  resize(limit: number): void {
    this.limit = limit
    this.#shrinkTo(limit)
  }

  #newName(name: string): FieldName {
    const entry = otherName(name, this.#freeIds.pop() ?? this.#ids++)
    this.#ownNames.set(name, entry)
    return entry
  }

  #shrinkTo(size: number): void {
    while (this.size > size && this.count > 0) {
      const number = (this.#newest - this.count + 1) | 0
      const slot = number & MASK
      const name = this.#names[slot]
      this.size -= name.name.length + this.#values[slot].length + ENTRY_OVERHEAD
      if (name.id >= KNOWN_NAMES.size && this.#ofName[name.id] === number) {
        this.#ownNames.delete(name.name)
        this.#freeIds.push(name.id)
      }
      this.#names[slot] = NOBODY
      this.#values[slot] = ""
      this.count--
    }
  }
}

/** A hash of the length and the last sixteen characters, where values of one name differ most. */
function sampledHash(id: number, value: string): number {
  const length = value.length
  let hash = Math.imul(id + 1, 0x9e3779b1) ^ length
  for (let i = length > 16 ? length - 16 : 0; i < length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193)
  return hash ^ (hash >>> 15)
}
