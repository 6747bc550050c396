// Writes the tables of response flags and failures into their document. Run: `npm run docs:flags`, after a row of errors.ts or of
// its guide was added or changed.

import { readFileSync, writeFileSync } from "node:fs"
import { DOCUMENT, withTables } from "./flag-tables.ts"

const path = new URL(`../${DOCUMENT}`, import.meta.url)
const document = withTables(readFileSync(path, "utf8"))
if (document === null) throw new Error(`${DOCUMENT} has no place for the tables`)
writeFileSync(path, document)
