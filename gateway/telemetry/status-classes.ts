// Status codes as metrics tell them apart: by their class.

/** Values of the `code` label; `none`: there was no response head. */
export const statusClasses = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"] as const

/** Offset of a status in slots across {@link statusClasses}; statuses over 599 count as 5xx. */
export function statusIndex(status: number): number {
  const index = (status / 100) | 0
  return index > 5 ? 5 : index
}
