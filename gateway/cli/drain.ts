// `sluice drain`: takes an endpoint of a running gateway out of traffic, or gives it requests again.

import { adminArgument, adminPath, orderAdmin } from "./admin-client.ts"
import { type Command, command, text, UsageError } from "./command.ts"

export const drain: Command = command({
  name: "drain",
  description: "Give an endpoint of a running gateway no new requests; what is under way there finishes",
  args: {
    service: { type: "positional", description: "The service's name", valueHint: "SERVICE", required: true },
    endpoint: {
      type: "positional",
      description: "Address of the endpoint, as sluice services tells it",
      valueHint: "HOST:PORT",
      required: true,
    },
    undrain: { type: "boolean", description: "Give it requests again", default: false },
    force: { type: "boolean", description: "Also when no other endpoint could take its requests", default: false },
    ...adminArgument,
  },
  examples: ["sluice drain api 10.0.0.4:8080", "sluice drain api 10.0.0.4:8080 --undrain"],
  run: (args) => {
    if (args.undrain === true && args.force === true)
      throw new UsageError("--force is for draining, and there is nothing to be forced with --undrain")
    const path = `${adminPath("services", text(args, "service"))}/endpoints/${encodeURIComponent(text(args, "endpoint"))}`
    const what = args.undrain === true ? "undrain" : `drain${args.force === true ? "?force=true" : ""}`
    return orderAdmin(args, `${path}/${what}`, { method: "POST" })
  },
})
