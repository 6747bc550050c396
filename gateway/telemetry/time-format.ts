// Points in time as text, UTC. What changes with the second alone is kept from one call to the next, since making a date costs
// more than all the rest of a line.

import type { TimePiece, TimeUnit } from "../config/template-model.ts"

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
/** Times a date can't be made of are shown as the epoch. */
const LAST = 8.64e15

/** Makes texts of a pattern. */
export class TimeFormat {
  /** Kept text, digits of a fraction, text, digits …: as many of one as of the other, and a last text. */
  readonly #texts: string[] = [""]
  readonly #digits: number[] = []
  readonly #pieces: readonly TimePiece[]
  #second = Number.NaN

  constructor(pieces: readonly TimePiece[]) {
    this.#pieces = pieces
    for (const piece of pieces) if ("fraction" in piece) this.#digits.push(piece.fraction)
  }

  /** @param time milliseconds since the epoch; finer than that only to a microsecond. */
  text(time: number): string {
    const ms = Math.abs(time) <= LAST ? time : 0
    const second = Math.floor(ms / 1000)
    if (second !== this.#second) this.#turn(second)
    const texts = this.#texts
    const digits = this.#digits
    if (digits.length === 0) return texts[0]
    // Microseconds, from ms that have a fraction.
    const micros = String(Math.floor((ms - second * 1000) * 1000)).padStart(6, "0")
    let out = texts[0]
    for (let i = 0; i < digits.length; i++)
      out += (digits[i] <= 6 ? micros.slice(0, digits[i]) : micros.padEnd(digits[i], "0")) + texts[i + 1]
    return out
  }

  #turn(second: number): void {
    const date = new Date(second * 1000)
    let at = 0
    this.#texts.length = 0
    this.#texts.push("")
    for (const piece of this.#pieces) {
      if ("fraction" in piece) {
        this.#texts.push("")
        at++
      } else this.#texts[at] += "text" in piece ? piece.text : unitText(piece.unit, date)
    }
    this.#second = second
  }
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

function unitText(unit: TimeUnit, date: Date): string {
  const hours = date.getUTCHours()
  switch (unit) {
    case "Y":
      return String(date.getUTCFullYear())
    case "y":
      return two(Math.abs(date.getUTCFullYear()) % 100)
    case "m":
      return two(date.getUTCMonth() + 1)
    case "d":
      return two(date.getUTCDate())
    case "e":
      return String(date.getUTCDate()).padStart(2, " ")
    case "H":
      return two(hours)
    case "I":
      return two(hours % 12 === 0 ? 12 : hours % 12)
    case "M":
      return two(date.getUTCMinutes())
    case "S":
      return two(date.getUTCSeconds())
    case "p":
      return hours < 12 ? "AM" : "PM"
    case "j":
      return String(Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0)) / 86_400_000) + 1).padStart(3, "0")
    case "a":
      return DAYS[date.getUTCDay()].slice(0, 3)
    case "A":
      return DAYS[date.getUTCDay()]
    case "b":
      return MONTHS[date.getUTCMonth()].slice(0, 3)
    case "B":
      return MONTHS[date.getUTCMonth()]
    case "s":
      return String(Math.floor(date.getTime() / 1000))
    case "u":
      return String(date.getUTCDay() === 0 ? 7 : date.getUTCDay())
    case "w":
      return String(date.getUTCDay())
  }
}
