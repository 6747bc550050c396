// What commands have in common that list something of a running gateway: asked of its admin API, shown as a table or as JSON.

import { adminArgument, askAdmin, refusalOf } from "./admin-client.ts"
import { type Command, command, UsageError } from "./command.ts"

export interface AdminListing<Item> {
  /** Path in the admin API, and the key of the list in its answer. */
  readonly what: "filters" | "canaries"
  readonly description: string
  readonly examples: string[]
  /** Lines for a person. */
  table(items: readonly Item[]): string
}

export function adminList<Item>({ what, description, examples, table }: AdminListing<Item>): Command {
  return command({
    name: "ls",
    description,
    args: { ...adminArgument, json: { type: "boolean", description: "As JSON, with everything that is known", default: false } },
    examples,
    run: async (args) => {
      let items: readonly Item[]
      try {
        const { status, body } = await askAdmin(args, `/${what}`)
        const found = body[what]
        if (status !== 200 || !Array.isArray(found)) throw new Error(refusalOf(status, body))
        items = found as Item[]
      } catch (error) {
        if (error instanceof UsageError) throw error
        process.stderr.write(`${(error as Error).message}\n`)
        return 1
      }
      process.stdout.write(args.json === true ? `${JSON.stringify(items, null, 2)}\n` : table(items))
      return 0
    },
  })
}
