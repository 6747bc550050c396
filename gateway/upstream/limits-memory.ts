// Where the figures that limits go by lie in memory all threads share: for each service and each capped endpoint a cell of
// what is held over all workers, and for each worker a column of the same cells with what it holds of it.

import { EARNED_WORDS, privateBudgetMemory, RetryBudget, type RetryBudgetSettings, SPENT_WORDS } from "../resilience/retry-budget.ts"
import { SharedCount } from "./shared-count.ts"

/** Figures of a service. `wanted`: pools that wait for others to let go of a connection. */
export const serviceFigures = ["requests", "connections", "pending", "retries", "wanted"] as const
export type ServiceFigure = (typeof serviceFigures)[number]
/** Figures of an endpoint. */
export const endpointFigures = ["requests", "connections"] as const
export type EndpointFigure = (typeof endpointFigures)[number]

/** Cells there are. Services and endpoints beyond them are counted by each worker for itself. */
export const SERVICE_CELLS = 4096
export const ENDPOINT_CELLS = 16_384
/** No cell: counted by the worker for itself. */
export const NO_CELL = -1

// A column: the figures of all services, then of all endpoints, then each service's budget.
const SERVICE_STRIDE = 8
const ENDPOINT_STRIDE = endpointFigures.length
const ENDPOINTS_AT = SERVICE_CELLS * SERVICE_STRIDE
const BUDGETS_AT = ENDPOINTS_AT + ENDPOINT_CELLS * ENDPOINT_STRIDE
const TOTAL_WORDS = BUDGETS_AT + SERVICE_CELLS * SPENT_WORDS
const COLUMN_WORDS = BUDGETS_AT + SERVICE_CELLS * EARNED_WORDS

export function createLimitsMemory(workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer((TOTAL_WORDS + workers * COLUMN_WORDS) * 4)
}

/** The memory as one worker uses it. */
export class LimitsMemory {
  readonly #words: Int32Array
  readonly #workers: number
  readonly #worker: number
  readonly #column: number

  constructor(memory: SharedArrayBuffer, workers: number, worker: number) {
    this.#words = new Int32Array(memory)
    this.#workers = workers
    this.#worker = worker
    this.#column = columnOf(worker)
  }

  service(cell: number, figure: ServiceFigure): SharedCount {
    return this.#count(cell, serviceWord(cell, figure))
  }

  endpoint(cell: number, figure: EndpointFigure): SharedCount {
    return this.#count(cell, endpointWord(cell, figure))
  }

  #count(cell: number, word: number): SharedCount {
    return cell === NO_CELL ? new SharedCount(new Int32Array(2), 0, 1) : new SharedCount(this.#words, word, this.#column + word)
  }

  budget(cell: number, settings: RetryBudgetSettings): RetryBudget {
    if (cell === NO_CELL) return new RetryBudget(privateBudgetMemory(), 0, settings)
    const memory = {
      words: this.#words,
      spent: BUDGETS_AT + cell * SPENT_WORDS,
      earned: columnOf(0) + BUDGETS_AT + cell * EARNED_WORDS,
      stride: COLUMN_WORDS,
      threads: this.#workers,
    }
    return new RetryBudget(memory, this.#worker, settings)
  }
}

function columnOf(worker: number): number {
  return TOTAL_WORDS + worker * COLUMN_WORDS
}

/** Index of the word with what all workers hold of a service. */
export function serviceWord(cell: number, figure: ServiceFigure): number {
  return cell * SERVICE_STRIDE + serviceFigures.indexOf(figure)
}

/** The same of an endpoint. */
export function endpointWord(cell: number, figure: EndpointFigure): number {
  return ENDPOINTS_AT + cell * ENDPOINT_STRIDE + endpointFigures.indexOf(figure)
}

/** Gives back what a worker that is gone held of all figures. Only once its thread has ended. */
export function giveBack(words: Int32Array, worker: number): void {
  const column = columnOf(worker)
  for (let word = 0; word < BUDGETS_AT; word++) {
    const held = words[column + word]
    if (held === 0) continue
    words[column + word] = 0
    Atomics.sub(words, word, held)
  }
}
