// A reporter that keeps the names of what is under way in a file, SLUICE_TEST_UNFINISHED, so that whoever has to end a run that
// hangs (scripts/test.ts) can say where it hung. Without that variable it does nothing.

import { writeFileSync } from "node:fs"
import type { Reporter, TestCase, TestModule } from "vitest/node"

export class UnfinishedReporter implements Reporter {
  readonly #file = process.env.SLUICE_TEST_UNFINISHED
  /** By test file: the tests that run. */
  readonly #running = new Map<string, Set<string>>()

  onTestModuleQueued({ relativeModuleId }: TestModule): void {
    this.#running.set(relativeModuleId, new Set())
    this.#write()
  }

  onTestCaseReady(test: TestCase): void {
    this.#running.get(test.module.relativeModuleId)?.add(test.fullName)
    this.#write()
  }

  onTestCaseResult(test: TestCase): void {
    this.#running.get(test.module.relativeModuleId)?.delete(test.fullName)
    this.#write()
  }

  onTestModuleEnd({ relativeModuleId }: TestModule): void {
    this.#running.delete(relativeModuleId)
    this.#write()
  }

  #write(): void {
    if (this.#file === undefined) return
    const lines = [...this.#running].map(([file, tests]) => (tests.size === 0 ? file : `${file}: ${[...tests].join(", ")}`))
    writeFileSync(this.#file, lines.join("\n"))
  }
}

// How vitest finds a reporter that is named by its file.
export { UnfinishedReporter as default }
