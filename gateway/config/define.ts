// What a configuration written in TypeScript imports.

import type { ConfigInput } from "./schema.ts"

/** Gives editors the type of the configuration: `export default defineConfig({ listeners: [...] })`. Returns its argument. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}
