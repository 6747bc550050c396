// A receiver of OpenTelemetry's protocol over HTTP, as the configuration names it.

export interface OtlpConfig {
  /** Where it listens; `/v1/logs`, `/v1/traces` are put behind it. */
  readonly url: string
  /** Sent with every request: texts, or environment variables they are in. */
  readonly headers: Readonly<Record<string, string | { readonly env: string }>>
  /** ms a request may take. */
  readonly timeout: number
}
