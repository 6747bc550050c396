// Writes the table of all metrics into its document. Run: `npm run docs:metrics`, after a metric was added or changed.

import { readFileSync, writeFileSync } from "node:fs"
import { DOCUMENT, withTable } from "./metrics-table.ts"

const path = new URL(`../${DOCUMENT}`, import.meta.url)
const document = withTable(readFileSync(path, "utf8"))
if (document === null) throw new Error(`${DOCUMENT} has no place for the table`)
writeFileSync(path, document)
