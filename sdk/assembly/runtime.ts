// What the generated glue calls: contexts, configuration, garbage collection, and the few globals of AssemblyScript that
// would otherwise be imports no Proxy-Wasm host has.

import { BufferType, LogLevel, Status } from "./abi"
import { proxy_get_buffer_bytes, proxy_get_current_time_nanoseconds } from "./env"
import { Config, readConfig } from "./config"
import { setContext } from "./context"
import { write } from "./log"
import { clearResult, OUT_DATA, OUT_LONG, OUT_SIZE } from "./memory"
import { loadGlobals, managedGlobals, saveGlobals, scalarGlobals, startGlobals } from "./plugin-variables"
import { Request } from "./request"
import { Response } from "./response"
import { decimal, takeText } from "./text"

export { setBodyFollows } from "./context"
export { allocate } from "./memory"
export { answer } from "./reply"

/** A configured use of the filter (a root context) and, while another one runs, its module variables. */
@final
class Plugin {
  /** Typed as strings only so that the collector visits them; they are whatever the author's variables hold. */
  private managed: StaticArray<string | null> = new StaticArray<string | null>(managedGlobals())
  private scalars: StaticArray<u64> = new StaticArray<u64>(scalarGlobals())

  constructor(readonly id: i32) {}

  save(): void {
    saveGlobals(changetype<usize>(this.managed), changetype<usize>(this.scalars))
  }

  load(): void {
    loadGlobals(changetype<usize>(this.managed), changetype<usize>(this.scalars))
  }
}

/** The variables before the author's code ran: this file is started first. */
const pristine = new Plugin(0)
pristine.save()

/** Callbacks between two collections. */
const COLLECT_INTERVAL: i32 = 256

export const request: Request = new Request()
export const response: Response = new Response()

/** Those alive, the oldest first; few, one for each configuration of this filter that is in use. */
const plugins: Plugin[] = []
/** The one whose variables are in place. */
let active: Plugin = pristine
/** Whether there was ever more than one; a filter used once never looks at the rest. */
let several: boolean = false
/** Plugin of a stream; streams begun while there was only one aren't here. */
const owners = new Map<i32, Plugin>()

let calls: i32 = 0
let pages: i32 = memory.size()

/** A context was created; the first call of its life. */
export function createContext(id: i32, parent: i32): void {
  if (parent == 0) {
    const plugin = new Plugin(id)
    plugins.push(plugin)
    if (active !== pristine) {
      several = true
      active.save()
      pristine.load()
      startGlobals()
    }
    active = plugin
  } else if (several) {
    const plugin = find(parent)
    if (plugin === null) return
    owners.set(id, plugin)
    activate(plugin)
  }
}

/** A callback of a stream begins: its plugin's variables come into place. */
// @ts-ignore: decorator
@inline
export function enter(id: i32): void {
  setContext(id)
  if (several) enterOneOf(id)
}

function enterOneOf(id: i32): void {
  if (owners.has(id)) activate(owners.get(id))
  else if (plugins.length > 0) activate(plugins[0])
}

/** A callback of a plugin begins. */
export function enterPlugin(id: i32): void {
  setContext(0)
  const plugin = find(id)
  if (plugin !== null) activate(plugin)
}

/** A callback ends. Nothing of the author's is on the stack here, so this is where garbage may be collected. */
// @ts-ignore: decorator
@inline
export function leave(): void {
  if (++calls >= COLLECT_INTERVAL || memory.size() != pages) collect()
}

function collect(): void {
  calls = 0
  __collect()
  pages = memory.size()
}

/** A context is gone: a stream, or a plugin. */
export function deleteContext(id: i32): void {
  if (several) owners.delete(id)
  for (let i = 0; i < plugins.length; i++) {
    if (plugins[i].id == id) {
      plugins.splice(i, 1)
      return
    }
  }
}

function find(id: i32): Plugin | null {
  for (let i = 0; i < plugins.length; i++) {
    if (plugins[i].id == id) return plugins[i]
  }
  return null
}

function activate(plugin: Plugin): void {
  if (plugin === active) return
  active.save()
  active = plugin
  plugin.load()
}

/** The configuration of the plugin being configured. */
export function pluginConfig(): Config {
  clearResult()
  const status = proxy_get_buffer_bytes(BufferType.PLUGIN_CONFIGURATION, 0, i32.MAX_VALUE, OUT_DATA, OUT_SIZE)
  return readConfig(status == Status.OK ? takeText() : "")
}

/** In place of the import `env.abort`: says where and why, then traps. */
export function abort(message: string | null = null, file: string | null = null, line: u32 = 0, column: u32 = 0): void {
  const reason = message === null || message.length == 0 ? "aborted" : message
  const place = file === null ? "" : " (" + file + ":" + decimal(line) + ":" + decimal(column) + ")"
  write(LogLevel.CRITICAL, reason + place)
  unreachable()
}

/** In place of the import `env.trace`. */
export function trace(message: string, n: i32 = 0, a0: f64 = 0, a1: f64 = 0, a2: f64 = 0, a3: f64 = 0, a4: f64 = 0): void {
  let text = message
  if (n > 0) text += " " + a0.toString()
  if (n > 1) text += " " + a1.toString()
  if (n > 2) text += " " + a2.toString()
  if (n > 3) text += " " + a3.toString()
  if (n > 4) text += " " + a4.toString()
  write(LogLevel.TRACE, text)
}

/** In place of the import `env.seed`, for `Math.random`: unpredictable enough for sampling, never for secrets. */
export function seed(): f64 {
  store<i64>(OUT_LONG, 0)
  proxy_get_current_time_nanoseconds(OUT_LONG)
  return <f64>(load<i64>(OUT_LONG) & 0x1fffffffffffff)
}
