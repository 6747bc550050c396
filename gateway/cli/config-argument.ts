// The option all commands share that read a configuration.

import type { ArgsDef } from "citty"

export const configArgument = {
  config: {
    type: "string",
    alias: "c",
    description: "Configuration: .yaml, .json or a module with a default export",
    valueHint: "FILE",
    default: "sluice.yaml",
  },
} as const satisfies ArgsDef
