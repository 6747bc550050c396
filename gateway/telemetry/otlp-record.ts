// Lines of the access log on their way to a receiver of OTLP: each has a head of severity, time and trace before it, of which the main
// thread makes a record, since it can't tell them from a line of any form.

import type { ReadableLogRecord } from "@opentelemetry/sdk-logs"
import type { AccessEntry } from "./access-entry.ts"

type Attributes = ReadableLogRecord["attributes"]

/** OpenTelemetry's numbers of severities. */
export const INFO = 9
export const WARN = 13
export const ERROR = 17

// Flags of what a filter did on purpose.
const MEANT: ReadonlySet<string> = new Set(["", "LR", "DI"])

/** ERROR: it failed, or was answered with a 5xx; WARN: with a 4xx. */
function severityOf({ flag, status }: AccessEntry): number {
  if (!MEANT.has(flag) || status >= 500) return ERROR
  return status >= 400 ? WARN : INFO
}

/** What stands before the line of `entry`. */
export function recordHead(entry: AccessEntry): string {
  return `${severityOf(entry)} ${entry.startTime} ${entry.traceId} `
}

const HEAD = /^(\d+) (-?[\d.]+) ([0-9a-f]{32})? /
const NAMES: Readonly<Record<number, string>> = { [INFO]: "INFO", [WARN]: "WARN", [ERROR]: "ERROR" }

/** The record that a line stands for: fields of JSON are its attributes, any other line is its body. Null when it has no head. */
export function readRecord(
  line: string,
  resource: ReadableLogRecord["resource"],
  instrumentationScope: ReadableLogRecord["instrumentationScope"],
): ReadableLogRecord | null {
  const head = HEAD.exec(line)
  if (head === null) return null
  const text = line.slice(head[0].length)
  const severityNumber = Number(head[1])
  const attributes = text.startsWith("{") ? parsed(text) : null
  return {
    hrTime: hrTime(Number(head[2])),
    hrTimeObserved: hrTime(Date.now()),
    severityNumber,
    severityText: NAMES[severityNumber],
    body: attributes === null ? text : summary(attributes),
    attributes: attributes ?? {},
    droppedAttributesCount: 0,
    resource,
    instrumentationScope,
    ...(head[3] === undefined ? {} : { spanContext: { traceId: head[3], spanId: "", traceFlags: 0 } }),
  }
}

function parsed(text: string): Attributes | null {
  try {
    return JSON.parse(text) as Attributes
  } catch {
    // A template may begin with a brace.
    return null
  }
}

// What a person looks for first.
function summary({ method, path, status, protocol, listener }: Attributes): string {
  return method === undefined ? `${protocol ?? ""} ${listener ?? ""}`.trim() : `${method} ${path ?? ""} ${status ?? ""}`.trim()
}

function hrTime(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6))]
}
