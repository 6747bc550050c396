// What checks of a configuration have found, and add to.

import type { Finding } from "./source.ts"

export interface Checked {
  readonly errors: Finding[]
  readonly warnings: Finding[]
}
