// What is said of a request at one listener, as lines with what they are about in front: the same words in a terminal and on the
// dashboard. How they are laid out is the reader's affair.

import type {
  BackendOdds,
  EndpointExplanation,
  Explanation,
  HeaderEditsShown,
  Outcome,
  SentRequest,
  ServiceExplanation,
  SettingsExplanation,
} from "./explanation.ts"

type Forwarded = Extract<NonNullable<Outcome["action"]>, { readonly kind: "forward" }>

/** A row of several cells stands in columns with its neighbours. */
export interface OutcomeLine {
  readonly label: string
  readonly rows: readonly (readonly string[])[]
}

/** How many routes are not told of, and what the flag means, is said by who shows them: there are ways of his own to learn more. */
export function outcomeLines(outcome: Outcome, listeners: Explanation["listeners"]): OutcomeLine[] {
  const { path, route, odds, others, othersLeft, filters, action, service, sent, settings, notes } = outcome
  const listener = listeners.find(({ name }) => name === outcome.listener)
  const lines: OutcomeLine[] = [
    plain("listener", listener === undefined ? [] : [`${listener.name} (${listener.protocol} ${listener.address}): ${listener.why}`]),
    plain("host", outcome.host === "" ? [] : [outcome.host]),
    plain("path", path === null ? [] : [pathText(path)]),
    plain("route", route === null ? [] : [`${route.name}: ${route.match}`]),
    plain(
      "odds",
      odds.map(({ route: name, odds: share }) => `${percent(share)} ${name === "" ? "no route (404)" : name}`),
    ),
    { label: "not", rows: others.map(({ route: name, text }) => [name, text]) },
    plain("limits", settings === null ? [] : settingsTexts(settings)),
    { label: "filters", rows: filters.map(({ name, text }) => [name, text]) },
    plain("answer", action === null || action.kind === "forward" ? [] : [answerText(action)]),
    plain("backends", action?.kind === "forward" ? action.backends.map((backend) => backendText(backend, action)) : []),
    { label: "service", rows: service === null ? [] : serviceRows(service) },
    plain("sent", sent === null ? [] : sentTexts(sent)),
    plain("note", notes),
  ]
  return lines.filter(({ label, rows }) => rows.length > 0 || (label === "not" && othersLeft > 0))
}

function plain(label: string, texts: readonly string[]): OutcomeLine {
  return { label, rows: texts.map((text) => [text]) }
}

function pathText({ asked, normal, changes, why }: NonNullable<Outcome["path"]>): string {
  if (normal === null) return `${asked}: refused: ${why}`
  return normal === asked ? asked : `${asked} is read as ${normal}: ${changes.join(", ")}`
}

function settingsTexts({ timeout, retry, hedge, priority, mirrors, grpc, upgrade }: SettingsExplanation): string[] {
  const times = [
    `request ${time(timeout.request)}`,
    ...(timeout.perTry > 0 ? [`attempt ${time(timeout.perTry)}`] : []),
    `idle ${time(timeout.idle)}`,
  ]
  const again =
    retry === null ? "only what reached no service is sent again" : `sent again up to ${retry.attempts} times on ${retry.on.join(", ")}`
  return [
    `${times.join(", ")}; ${again}`,
    ...(hedge === null
      ? []
      : [`a second attempt after ${hedge.percentile > 0 ? `p${hedge.percentile}, at least ` : ""}${time(hedge.after)}`]),
    ...(priority === "normal" ? [] : [`priority ${priority}`]),
    ...mirrors.map(({ service, share }) => `${percent(share)} copied to ${service}`),
    ...(grpc ? ["gRPC"] : []),
    ...(upgrade === "" ? [] : [`upgrade to ${upgrade}`]),
  ]
}

function answerText(action: Exclude<NonNullable<Outcome["action"]>, { readonly kind: "forward" }>): string {
  return action.kind === "redirect" ? `${action.status} location: ${action.location}` : `${action.status}, ${action.bodyOctets} octets`
}

function backendText({ service, subset, odds, exists, chosen }: BackendOdds, { backends, why }: Forwarded): string {
  const labels = Object.entries(subset ?? {}).map(([name, value]) => `${name}=${value}`)
  const name = `${service}${labels.length === 0 ? "" : ` (${labels.join(",")})`}`
  return `${percent(odds)} ${name}${exists ? "" : ": there is no such service"}${chosen && why !== "" && backends.length > 1 ? `: ${why}` : ""}`
}

function serviceRows({ name, policy, key, order, endpoints, left, underWay, failover }: ServiceExplanation): string[][] {
  const by = key === null ? "" : ` by ${key.by}${key.found ? "" : ", which it doesn't have"}`
  const over = failover === null ? "" : `; fails over to ${failover}`
  return [
    [`${name}: ${policy}${by}; ${underWay.requests} of ${underWay.maxRequests} requests under way${over}`],
    ...(order.length === 0 ? [] : [[`attempts go to ${order.join(", then ")}`]]),
    ...endpoints.map((endpoint) => endpointCells(endpoint, name)),
    ...(left > 0 ? [[`and ${left} more`]] : []),
  ]
}

function endpointCells({ address, service, eligible, reasons, share, zone }: EndpointExplanation, own: string): string[] {
  const where = `${service === own ? "" : `${service} `}${address}${zone === "" ? "" : ` (${zone})`}`
  const state = `${eligible ? "may be taken" : "is left out"}${share === null ? "" : `, ${percent(share)}`}`
  return [where, reasons.length === 0 ? state : `${state}: ${reasons.join("; ")}`]
}

function sentTexts({ method, authority, path, protocol, tls, headers, edits }: SentRequest): string[] {
  return [
    `${method} ${path} to ${authority || "its endpoint"}, ${protocol}${tls ? " over TLS" : ""}`,
    ...headers.map(([name, value]) => `  ${name}: ${value}`),
    ...edits.request.map((each) => `the request's headers: ${editsText(each)}`),
    ...edits.response.map((each) => `the response's headers: ${editsText(each)}`),
  ]
}

function editsText({ remove, set, add }: HeaderEditsShown): string {
  return [
    ...remove.map((name) => `remove ${name}`),
    ...set.map(([name, value]) => `set ${name}: ${value}`),
    ...add.map(([name, value]) => `add ${name}: ${value}`),
  ].join("; ")
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`
}

function time(ms: number): string {
  if (ms === 0) return "any time"
  if (ms % 60_000 === 0) return `${ms / 60_000}m`
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}
