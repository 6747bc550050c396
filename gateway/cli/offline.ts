// Explanations of a configuration in a file, without a gateway that runs it: nothing is known but what is written.

import { loadConfig } from "../config/load.ts"
import { formatProblems } from "../config/problem.ts"
import { isSecretKey } from "../config/secrets.ts"
import { Explainer } from "../explain/explainer.ts"

/** Throws an `Error` that says what is wrong with the file. */
export async function offlineExplainer(file: string): Promise<Explainer> {
  const loaded = await loadConfig(file)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems, { excerpt: true }))
  const { config } = loaded
  const spec = { generation: 0, config, ports: {}, weights: {}, tls: { listeners: {} }, records: null, limits: {} }
  return new Explainer({ spec: () => spec, memory: null, filters: () => [], overloadLevel: () => 0, isSecret: isSecretKey })
}
