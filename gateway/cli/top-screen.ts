// What `sluice top` shows: live figures as tables that fit the terminal. Pure; it draws nothing itself.

import type { Figures, FilterFigures, TrafficFigures } from "../telemetry/live-summary.ts"
import { printable } from "./table.ts"

export const topKinds = ["routes", "services", "filters"] as const
export type TopKind = (typeof topKinds)[number]
export const topSorts = ["rate", "success", "p50", "p99", "name"] as const
export type TopSort = (typeof topSorts)[number]

export interface TopView {
  readonly kinds: readonly TopKind[]
  readonly sort: TopSort
  /** Columns of the terminal, and lines; `height` 0: as many as it takes. */
  readonly width: number
  readonly height: number
  readonly colour: boolean
  /** Address of the gateway. */
  readonly address: string
  /** "" = all is well. */
  readonly trouble: string
}

interface Column<Item> {
  readonly title: string
  text(item: Item): string
  /** Of a cell that needs attention. */
  bad?(item: Item): boolean
  /** Where there is no room, those with the least go first; the first column, which has names, never does. */
  readonly worth: number
}

const RED = "\u001b[31m"
const BOLD = "\u001b[1m"
const DIM = "\u001b[2m"
const PLAIN = "\u001b[0m"
/** Characters of a name that are always shown. */
const LEAST_NAME = 8

const traffic: readonly Column<TrafficFigures>[] = [
  { title: "REQ/S", text: ({ requests }) => rate(requests), worth: 9 },
  { title: "SUCCESS", text: ({ success }) => percent(success), bad: ({ success }) => success !== null && success < 0.99, worth: 8 },
  { title: "4XX/S", text: ({ rejected }) => rate(rejected), worth: 2 },
  { title: "P50", text: ({ latency }) => milliseconds(latency?.p50), worth: 6 },
  { title: "P95", text: ({ latency }) => milliseconds(latency?.p95), worth: 3 },
  { title: "P99", text: ({ latency }) => milliseconds(latency?.p99), worth: 7 },
  { title: "P99.9", text: ({ latency }) => milliseconds(latency?.p999), worth: 4 },
  { title: "OUT/S", text: ({ sent }) => octets(sent), worth: 1 },
]

const filterColumns: readonly Column<FilterFigures>[] = [
  { title: "CALLS/S", text: ({ calls }) => rate(calls), worth: 9 },
  { title: "FAILED/S", text: ({ failures }) => rate(failures), bad: ({ failures }) => failures > 0, worth: 5 },
  { title: "MEAN", text: ({ cost }) => milliseconds(cost === null ? null : cost.mean / 1000), worth: 8 },
  { title: "P50", text: ({ cost }) => milliseconds(cost === null ? null : cost.p50 / 1000), worth: 4 },
  { title: "P99", text: ({ cost }) => milliseconds(cost === null ? null : cost.p99 / 1000), worth: 7 },
  { title: "CPU", text: ({ share }) => percent(share), bad: ({ share }) => share >= 0.25, worth: 6 },
  { title: "TRAPS", text: ({ traps }) => String(traps), bad: ({ traps }) => traps > 0, worth: 3 },
]

/** Lines, none wider than the terminal, no more of them than it has. */
export function topScreen(figures: Figures, view: TopView): string[] {
  const { total, seconds } = figures
  const paint = (text: string, code: string): string => (view.colour && text !== "" ? `${code}${text}${PLAIN}` : text)
  const head = [
    `sluice ${view.address}`,
    `${rate(total.requests)} req/s`,
    `${percent(total.success)} ok`,
    `p50 ${milliseconds(total.latency?.p50)}`,
    `p99 ${milliseconds(total.latency?.p99)}`,
    `${total.cpu.toFixed(2)} cores`,
    seconds === 0 ? "counting begins" : `last ${seconds} s`,
  ].join("  ")
  const lines = [paint(clip(head, view.width), BOLD)]
  if (view.trouble !== "") lines.push(paint(clip(printable(view.trouble).replaceAll("\n", " "), view.width), RED))
  for (const [i, kind] of view.kinds.entries()) {
    // What earlier tables leave is shared out evenly.
    const room = view.height === 0 ? Number.POSITIVE_INFINITY : Math.floor((view.height - lines.length) / (view.kinds.length - i))
    lines.push("")
    if (kind === "filters")
      lines.push(...block("FILTER", sortedFilters(figures.filters, view.sort), filterColumns, 0, room - 1, view, paint))
    else {
      const title = kind === "routes" ? "ROUTE" : "SERVICE"
      lines.push(...block(title, sortedTraffic(figures[kind], view.sort), traffic, figures.omitted[kind], room - 1, view, paint))
    }
  }
  return view.height === 0 ? lines : lines.slice(0, view.height)
}

function block<Item extends { readonly name: string }>(
  title: string,
  items: readonly Item[],
  all: readonly Column<Item>[],
  omitted: number,
  room: number,
  { width }: TopView,
  paint: (text: string, code: string) => string,
): string[] {
  const fits = Math.max(1, room - 1)
  const more = items.length > fits || omitted > 0
  const shown = items.slice(0, more ? Math.max(1, fits - 1) : fits)
  let columns = [...all]
  const widthOf = (column: Column<Item>): number => Math.max(column.title.length, ...shown.map((item) => column.text(item).length)) + 2
  const rest = (): number => width - columns.reduce((sum, column) => sum + widthOf(column), 0)
  while (columns.length > 1 && rest() < LEAST_NAME) {
    const least = columns.reduce((a, b) => (b.worth < a.worth ? b : a))
    columns = columns.filter((column) => column !== least)
  }
  const names = shown.map(({ name }) => (name === "-" ? "(none matched)" : printable(name).replaceAll("\n", " ")))
  const nameWidth = Math.max(1, Math.min(rest(), Math.max(title.length, LEAST_NAME, ...names.map((name) => name.length))))
  const line = (name: string, cells: readonly string[]): string => clip(name, nameWidth).padEnd(nameWidth) + cells.join("")
  const lines = [
    paint(
      line(
        title,
        columns.map((column) => column.title.padStart(widthOf(column))),
      ),
      DIM,
    ),
  ]
  for (const [i, item] of shown.entries()) {
    const cells = columns.map((column) => {
      const cell = column.text(item).padStart(widthOf(column))
      return column.bad?.(item) === true ? paint(cell, RED) : cell
    })
    lines.push(line(names[i], cells))
  }
  if (shown.length === 0) lines.push(paint("  none had anything to do", DIM))
  else if (more) lines.push(paint(clip(`  ${items.length - shown.length + omitted} more`, width), DIM))
  return lines
}

function sortedTraffic(items: readonly TrafficFigures[], sort: TopSort): TrafficFigures[] {
  return [...items].sort((a, b) => {
    if (sort === "name") return a.name < b.name ? -1 : 1
    if (sort === "success") return (a.success ?? 2) - (b.success ?? 2) || b.requests - a.requests
    if (sort === "rate") return b.requests - a.requests
    return (b.latency?.[sort] ?? -1) - (a.latency?.[sort] ?? -1)
  })
}

function sortedFilters(items: readonly FilterFigures[], sort: TopSort): FilterFigures[] {
  return [...items].sort((a, b) => {
    if (sort === "name") return a.name < b.name ? -1 : 1
    if (sort === "success") return b.failures - a.failures || b.cpu - a.cpu
    // Most of all, people look for what takes the time.
    if (sort === "rate") return b.cpu - a.cpu
    return (b.cost?.[sort] ?? -1) - (a.cost?.[sort] ?? -1)
  })
}

function clip(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text
}

function rate(value: number): string {
  if (value === 0) return "0"
  if (value < 10) return value.toFixed(1)
  return value < 100_000 ? String(Math.round(value)) : `${Math.round(value / 1000)}k`
}

/** Never 100 % where something is missing. */
function percent(share: number | null): string {
  if (share === null) return "-"
  if (share === 1 || share === 0) return `${share * 100}%`
  return share > 0.9999 ? ">99.99%" : `${(share * 100).toFixed(share >= 0.99 ? 2 : 1)}%`
}

function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "-"
  if (ms < 1) return `${Math.round(ms * 1000)}µs`
  if (ms < 10) return `${ms.toFixed(1)}ms`
  return ms < 10_000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`
}

function octets(value: number): string {
  if (value < 1024) return `${Math.round(value)}B`
  return value < 1024 * 1024 ? `${Math.round(value / 1024)}KiB` : `${(value / 1024 / 1024).toFixed(1)}MiB`
}
