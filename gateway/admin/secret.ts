// Reads the token of the admin API from where the configuration says it is. It is never shown, logged or kept in the configuration.

import { readFileSync, statSync } from "node:fs"
import type { SecretSource } from "../config/admin-model.ts"

const MIN_LENGTH = 16
const MAX_LENGTH = 1024

/** Throws an error that says what to do when there is none, or one that could be guessed. */
export function readToken(source: SecretSource, environment: Readonly<Record<string, string | undefined>>): string {
  const where = "env" in source ? `the environment variable ${source.env}` : source.file
  const token = "env" in source ? environment[source.env] : readSmallFile(source.file)
  const wrong = (what: string): Error =>
    new Error(
      `admin.token: ${where} ${what}; put a secret of at least ${MIN_LENGTH} characters there, such as \`openssl rand -hex 32\` makes`,
    )
  if (token === undefined) throw wrong("is not set")
  const text = token.trim()
  if (text.length < MIN_LENGTH) throw wrong(text === "" ? "is empty" : "holds a token that is too short")
  if (text.length > MAX_LENGTH || !/^[!-~]+$/.test(text)) throw wrong("holds more than one line of printable ASCII")
  return text
}

function readSmallFile(path: string): string {
  try {
    if (statSync(path).size > 2 * MAX_LENGTH) throw new Error("it is too large")
    return readFileSync(path, "utf8")
  } catch (error) {
    throw new Error(`admin.token: ${path} can't be read: ${(error as Error).message}; put the token there, readable by the gateway alone`, {
      cause: error,
    })
  }
}
