// Why a guest failed, in one form for the three runtimes' errors.

/** `budget`: out of CPU. `stack`: recursion. `exit`: the guest ended itself. `host`: a fault of ours. `trap`: all else. */
export type TrapReason = "budget" | "stack" | "exit" | "host" | "trap"

/** How a guest failed; the instance can't be used afterwards. */
export class Trap {
  readonly reason: TrapReason
  /** The runtime's words. */
  readonly text: string
  /** Guest function in which it happened, as far as the module names it; "" when unknown. */
  readonly where: string
  /** Export that was called. */
  readonly callback: string

  constructor(reason: TrapReason, text: string, where: string, callback: string) {
    this.reason = reason
    this.text = text
    this.where = where
    this.callback = callback
  }

  toString(): string {
    return `${this.text}${this.where === "" ? "" : ` in ${this.where}`} (${this.callback})`
  }
}

/** Thrown through the guest by host calls that end it. */
export class GuestExit extends Error {
  readonly code: number

  constructor(reason: string, code: number) {
    super(reason)
    this.code = code
  }
}

/** What `error`, thrown out of a call of `callback`, says. `exited`: an exit the guest asked for; `outOfBudget`: by its counter. */
export function trapOf(error: unknown, callback: string, exited: string | null, outOfBudget: boolean): Trap {
  const where = guestFunction(error)
  if (exited !== null) return new Trap("exit", exited, where, callback)
  if (outOfBudget) return new Trap("budget", "out of CPU budget", where, callback)
  if (error instanceof WebAssembly.RuntimeError) return new Trap("trap", error.message, where, callback)
  if (error instanceof RangeError && /stack/i.test(error.message)) return new Trap("stack", "stack overflow", where, callback)
  if (error instanceof WebAssembly.Exception) return new Trap("trap", "uncaught exception", where, callback)
  return new Trap("host", error instanceof Error ? `${error.name}: ${error.message}` : String(error), where, callback)
}

/** The innermost guest function of a stack trace: V8 writes `at name (wasm://…)`, JavaScriptCore `<?>.wasm-function[name]`. */
function guestFunction(error: unknown): string {
  const stack = error instanceof Error ? error.stack : undefined
  if (stack === undefined) return ""
  const line = stack.split("\n").find((frame) => frame.includes("wasm-function["))
  if (line === undefined) return ""
  const named = /^\s*at (?:async )?(\S+) \(wasm:/.exec(line) ?? /wasm-function\[([^\]]*)\]/.exec(line)
  return named === null ? "" : named[1].slice(0, 200)
}
