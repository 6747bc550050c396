// Explanations for people: lines with what they are about in front.

import type {
  EndpointExplanation,
  Explanation,
  HeaderEditsShown,
  Outcome,
  SentRequest,
  ServiceExplanation,
  SettingsExplanation,
} from "../explain/explanation.ts"
import type { FlagRow } from "../telemetry/flag-guide.ts"
import { printable } from "./table.ts"

const LABEL = 10

/** One explanation; a paragraph for each listener the request may come by. */
export function explanationText(said: Explanation): string {
  const lines = [`${said.method} ${said.url}`]
  for (const outcome of said.outcomes) {
    const listener = said.listeners.find(({ name }) => name === outcome.listener)
    const where = listener === undefined ? [] : [`${listener.name} (${listener.protocol} ${listener.address}): ${listener.why}`]
    lines.push(outcome.verdict.text, "", ...labelled("listener", where), ...outcomeLines(outcome))
  }
  if (said.outcomes.length === 0) lines.push(said.verdict.text)
  return `${lines.map(printable).join("\n").trimEnd()}\n`
}

function outcomeLines(outcome: Outcome): string[] {
  const { path, route, odds, others, othersLeft, filters, action, service, sent, settings, notes, verdict } = outcome
  return [
    ...labelled("host", outcome.host === "" ? [] : [outcome.host]),
    ...labelled("path", path === null ? [] : pathLines(path)),
    ...labelled("route", route === null ? [] : [`${route.name}: ${route.match}`]),
    ...labelled(
      "odds",
      odds.map(({ route: name, odds: share }) => `${percent(share)} ${name === "" ? "no route (404)" : name}`),
    ),
    ...labelled("not", [
      ...columns(others.map(({ route: name, text }) => [name, text])),
      ...(othersLeft > 0 ? [`and ${othersLeft} more (--others ${Math.min(100, others.length + othersLeft)})`] : []),
    ]),
    ...labelled("limits", settings === null ? [] : settingsLines(settings)),
    ...labelled("filters", columns(filters.map(({ name, text }) => [name, text]))),
    ...labelled("answer", action === null || action.kind === "forward" ? [] : [answerText(action)]),
    ...labelled("backends", action?.kind === "forward" ? backendLines(action) : []),
    ...labelled("service", service === null ? [] : serviceLines(service)),
    ...labelled("sent", sent === null ? [] : sentLines(sent)),
    ...labelled("note", notes),
    ...labelled("flag", verdict.flag === "" ? [] : [`${verdict.flag}: sluice explain ${verdict.code} says what to do about it`]),
    "",
  ]
}

function pathLines({ asked, normal, changes, why }: NonNullable<Outcome["path"]>): string[] {
  if (normal === null) return [`${asked}: refused: ${why}`]
  return [normal === asked ? asked : `${asked} is read as ${normal}: ${changes.join(", ")}`]
}

function settingsLines({ timeout, retry, hedge, priority, mirrors, grpc, upgrade }: SettingsExplanation): string[] {
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

function backendLines({ backends, why }: Extract<NonNullable<Outcome["action"]>, { readonly kind: "forward" }>): string[] {
  return backends.map(({ service, subset, odds, exists, chosen }) => {
    const labels = Object.entries(subset ?? {}).map(([name, value]) => `${name}=${value}`)
    const name = `${service}${labels.length === 0 ? "" : ` (${labels.join(",")})`}`
    return `${percent(odds)} ${name}${exists ? "" : ": there is no such service"}${chosen && why !== "" && backends.length > 1 ? `: ${why}` : ""}`
  })
}

function serviceLines({ name, policy, key, order, endpoints, left, underWay, failover }: ServiceExplanation): string[] {
  const by = key === null ? "" : ` by ${key.by}${key.found ? "" : ", which it doesn't have"}`
  const over = failover === null ? "" : `; fails over to ${failover}`
  return [
    `${name}: ${policy}${by}; ${underWay.requests} of ${underWay.maxRequests} requests under way${over}`,
    ...(order.length === 0 ? [] : [`attempts go to ${order.join(", then ")}`]),
    ...columns(endpoints.map((endpoint) => endpointCells(endpoint, name))),
    ...(left > 0 ? [`and ${left} more`] : []),
  ]
}

function endpointCells({ address, service, eligible, reasons, share, zone }: EndpointExplanation, own: string): string[] {
  const where = `${service === own ? "" : `${service} `}${address}${zone === "" ? "" : ` (${zone})`}`
  const state = `${eligible ? "may be taken" : "is left out"}${share === null ? "" : `, ${percent(share)}`}`
  return [where, reasons.length === 0 ? state : `${state}: ${reasons.join("; ")}`]
}

function sentLines({ method, authority, path, protocol, tls, headers, edits }: SentRequest): string[] {
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

/** A row of the table of flags. */
export function flagText({ flag, code, source, status, retryable, text, meaning, causes, look, act }: FlagRow): string {
  const fault = source === "" ? "nobody's fault" : `${source}'s doing`
  const reply = status === 0 ? "no answer is possible" : `answered ${status}${text === "" ? "" : ` "${text}"`}`
  const again = retryable === "" ? "" : `; sent again: ${retryable}`
  return [
    `${flag}${code === "" ? "" : ` ${code}`}: ${meaning}`,
    ...labelled("", [code === "" ? fault : `${fault}; ${reply}${again}`]),
    ...labelled("causes", causes),
    ...labelled("look at", [look]),
    ...labelled("do", [act]),
    "",
  ].join("\n")
}

// The label stands before the first of its lines.
function labelled(label: string, lines: readonly string[]): string[] {
  return lines.map((line, i) => `${(i === 0 ? label : "").padEnd(LABEL)}${line}`)
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(0, ...rows.map(([first]) => first.length))
  return rows.map(([first, ...others]) => `${first.padEnd(width)}  ${others.join("  ")}`.trimEnd())
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`
}

function time(ms: number): string {
  if (ms === 0) return "any time"
  if (ms % 60_000 === 0) return `${ms / 60_000}m`
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}
