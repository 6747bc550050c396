// `sluice filter rollback` and `sluice filter quarantine`: orders for a filter of a running gateway that may name one of its versions.

import { adminArgument, filterPath, orderAdmin } from "./admin-client.ts"
import { type Command, command, text } from "./command.ts"

interface FilterOrder {
  readonly description: string
  readonly version: string
}

const ORDERS = {
  rollback: {
    description: "Let a filter of a running gateway serve the module again that it served before; once more goes back further",
    version: "Which of its versions; needed when it has several",
  },
  quarantine: {
    description:
      "Take a filter of a running gateway out of use until it changes or is released; its onError says what becomes of its exchanges",
    version: "One of its versions, whose exchanges the others get; default: the whole filter",
  },
} as const satisfies Record<string, FilterOrder>

export function filterOrder(order: keyof typeof ORDERS): Command {
  const { description, version } = ORDERS[order]
  return command({
    name: order,
    description,
    args: {
      name: { type: "positional", description: "The filter's name in the gateway's configuration", valueHint: "NAME", required: true },
      version: { type: "string", description: version, valueHint: "VERSION" },
      ...adminArgument,
    },
    examples: [`sluice filter ${order} auth`, `sluice filter ${order} auth --version canary`],
    run: (args) => {
      const query = typeof args.version === "string" ? `?version=${encodeURIComponent(args.version)}` : ""
      return orderAdmin(args, `${filterPath(text(args, "name"))}/${order}${query}`, { method: "POST" })
    },
  })
}
