// `sluice run`: the gateway, until a signal ends it.

import { unsupportedRuntime } from "../runtime/support.ts"
import { StartError, Supervisor } from "../supervisor/supervisor.ts"
import { AccessOutput } from "../telemetry/access-output.ts"
import { createLogger } from "../telemetry/log.ts"
import { Output } from "../telemetry/output.ts"
import { type Command, command, text, UsageError, type Values } from "./command.ts"
import { configArgument } from "./config-argument.ts"

const FORMATS = ["auto", "human", "json"] as const
/** ms the last lines get to be written. */
const LAST_LINES = 1000

export const run: Command = command({
  name: "run",
  description: "Run the gateway. SIGHUP reloads, SIGUSR1 opens the access log anew, SIGTERM and SIGINT drain, a second one ends at once",
  args: {
    ...configArgument,
    "log-format": {
      type: "string",
      description: "Form of the log, over the configuration's: human, json, or auto (human on a terminal)",
      valueHint: "FORMAT",
    },
    watch: {
      type: "boolean",
      description: "Take changes of the configuration and of filters as they are saved",
      negativeDescription: "Take the configuration on SIGHUP, and filters when they are pushed",
      default: true,
    },
  },
  examples: ["sluice run -c sluice.yaml", "sluice run -c sluice.yaml --log-format json"],
  run: serve,
})

async function serve(args: Values): Promise<number> {
  const unsupported = unsupportedRuntime(process.versions)
  if (unsupported !== null) {
    process.stderr.write(`${unsupported}\n`)
    return 1
  }
  const wanted = args["log-format"]
  const format = FORMATS.find((each) => each === wanted)
  if (format === undefined && wanted !== undefined) throw new UsageError(`--log-format is one of ${FORMATS.join(", ")}`)
  // The log goes to standard error, the access log to standard output: neither ever holds up the program.
  const output = new Output({ descriptor: 2 })
  const lines = new Output({ descriptor: 1 })
  const logger = createLogger({ level: "info", format: format ?? "auto", write: (line) => output.write(line) })
  const access = new AccessOutput({
    stdout: (text, done) => lines.write(text, done),
    flush: (timeout) => lines.flush(timeout),
    log: (...event) => logger.log(...event),
    environment: process.env,
  })
  const supervisor = new Supervisor({
    file: text(args, "config"),
    logger,
    watch: args.watch !== false,
    logFormat: format,
    onLog: (event) => logger.forward(event),
    access,
  })

  let code = 0
  let ending = false
  const ended = new Promise<void>((resolve) => {
    const end = (signal: "SIGTERM" | "SIGINT"): void => {
      if (ending) {
        logger.log("warn", "ended by a second signal", { signal })
        void output.flush(LAST_LINES).then(() => process.exit(signal === "SIGINT" ? 130 : 143))
        return
      }
      ending = true
      void supervisor
        .stop()
        .catch((error: unknown) => {
          logger.log("critical", "didn't end as it should", { error })
          return false
        })
        .then((finished) => {
          code = finished ? 0 : 1
          resolve()
        })
    }
    process.on("SIGTERM", () => end("SIGTERM"))
    process.on("SIGINT", () => end("SIGINT"))
    // On Node this also keeps the signal from starting the inspector.
    process.on("SIGUSR1", () => supervisor.reopenLogs())
    process.on("SIGHUP", () => void supervisor.reload("SIGHUP"))
  })
  try {
    await supervisor.start()
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    if (logger.human) output.write(`${error.message}\n`)
    else logger.log("critical", "can't start", { reason: error.message })
    await output.flush(LAST_LINES)
    return 1
  }
  await ended
  await Promise.all([access.flush(LAST_LINES), output.flush(LAST_LINES)])
  // Handles that a runtime keeps open must not keep a drained gateway alive.
  process.exit(code)
}
