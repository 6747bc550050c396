// Configurations for tests of explanations, and what is said of requests under them.

import { fileURLToPath } from "node:url"
import { parseConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { Explainer, type ExplainerMeans } from "../../../gateway/explain/explainer.ts"
import type { ExplainRequest, Explanation, Outcome } from "../../../gateway/explain/explanation.ts"
import type { ExplainedSpec } from "../../../gateway/explain/planes.ts"

// Modules of filters are looked for, and not loaded.
const baseDir = fileURLToPath(new URL("../../../", import.meta.url))

const configs = new Map<string, Config>()

function configOf(yaml: string): Config {
  const loaded = parseConfig(yaml, { file: "sluice.yaml", baseDir })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

/** A configuration as it is in force, of which nothing is known but what is written. */
export function specOf(yaml: string, more: Partial<ExplainedSpec> = {}): ExplainedSpec {
  const config = configs.get(yaml) ?? configOf(yaml)
  configs.set(yaml, config)
  return { generation: 1, config, ports: {}, weights: {}, tls: { listeners: {} }, records: null, limits: {}, ...more }
}

export function explainerOf(spec: ExplainedSpec | null, more: Partial<ExplainerMeans> = {}): Explainer {
  const isSecret = (name: string): boolean => /authorization|cookie|secret/.test(name)
  return new Explainer({ spec: () => spec, memory: null, filters: () => [], overloadLevel: () => 0, isSecret, ...more })
}

export function explained(explainer: Explainer, request: Partial<ExplainRequest> & { readonly url: string }): Explanation {
  const said = explainer.explain({ method: "GET", ...request })
  if (typeof said === "string") throw new Error(said)
  return said
}

/** What becomes of a request under a configuration, at the first listener it may come by. */
export function outcomeOf(
  yaml: string,
  request: Partial<ExplainRequest> & { readonly url: string },
  more?: Partial<ExplainedSpec>,
): Outcome {
  return explained(explainerOf(specOf(yaml, more)), request).outcomes[0]
}
