// Sluice as a library: a gateway inside a program of your own, and the types of its configuration.

import { StartError, Supervisor } from "./supervisor/supervisor.ts"
import { AccessOutput } from "./telemetry/access-output.ts"
import { createLogger, type LogLevel } from "./telemetry/log.ts"

export { defineConfig } from "./config/define.ts"
export type { ConfigInput } from "./config/schema.ts"
export { type ErrorCode, type ErrorRow, errors } from "./errors.ts"
export { StartError }

/** ms the last lines of the access log get to be written. */
const LAST_LINES = 1000

export interface GatewayOptions {
  /** Path of the configuration: YAML, JSON or a module. */
  readonly file: string
  /** Takes the structured log, a line of JSON an event; default: nothing is logged. */
  readonly onLog?: (line: string) => void
  /** Takes the access log where the configuration has it on standard output; default: dropped. */
  readonly onAccess?: (lines: string) => void
  /** Least level that is logged until the configuration is read; default `info`. */
  readonly logLevel?: LogLevel
  /** Take changes of the configuration and of filters as they are saved; default true. */
  readonly watch?: boolean
}

/** A running gateway. */
export interface Gateway {
  /** Bound addresses, `host:port` by listener name. */
  readonly addresses: Readonly<Record<string, string>>
  /** Port of the admin API; 0 when it is off. */
  readonly adminPort: number
  /** Counts the configurations that came into force; 1 after the start. */
  readonly generation: number
  /** Reads the configuration again; a bad one is refused, logged, and changes nothing. */
  reload(): Promise<void>
  /** Drains and ends. Resolves to whether everything finished within the configured drain time-out. */
  stop(): Promise<boolean>
}

/**
 * Starts a gateway in this process: its workers are threads.
 *
 * @throws {StartError} when the configuration is invalid, a filter can't be loaded or an address can't be bound; the
 * message says which and what to do.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const logger = createLogger({
    level: options.logLevel ?? "info",
    format: "json",
    write: (line) => options.onLog?.(line),
  })
  const access = new AccessOutput({
    stdout: (lines, done) => {
      options.onAccess?.(lines)
      done(true)
    },
    flush: () => Promise.resolve(),
    log: (...event) => logger.log(...event),
    environment: process.env,
  })
  const supervisor = new Supervisor({
    file: options.file,
    logger,
    watch: options.watch ?? true,
    logFormat: "json",
    onLog: (event) => logger.forward(event),
    access,
  })
  await supervisor.start()
  return {
    get addresses() {
      return supervisor.addresses
    },
    get adminPort() {
      return supervisor.adminPort
    },
    get generation() {
      return supervisor.generation
    },
    reload: () => supervisor.reload("asked for"),
    stop: async () => {
      const finished = await supervisor.stop()
      await access.flush(LAST_LINES)
      return finished
    },
  }
}
