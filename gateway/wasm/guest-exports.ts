// The functions a Proxy-Wasm guest may export, found once an instance. Absent ones are null: the host never calls what
// is not there.

type Callback = (...args: number[]) => number

export interface GuestExports {
  /** Runs before everything else, in this order; empty for modules that start in their start section. */
  readonly start: readonly Callback[]
  readonly allocate: Callback | null
  readonly contextCreate: Callback | null
  readonly vmStart: Callback | null
  readonly configure: Callback | null
  readonly requestHeaders: Callback | null
  readonly responseHeaders: Callback | null
  readonly done: Callback | null
  readonly log: Callback | null
  readonly delete: Callback | null
}

export function guestExports(exports: WebAssembly.Exports): GuestExports {
  const find = (name: string): Callback | null => {
    const value = exports[name]
    return typeof value === "function" ? (value as Callback) : null
  }
  const start: Callback[] = []
  const initialize = find("_initialize")
  if (initialize !== null) {
    start.push(initialize)
    const main = find("main")
    const voidMain = find("__main_void")
    if (main !== null) start.push(() => main(0, 0))
    else if (voidMain !== null) start.push(voidMain)
  } else {
    const command = find("_start")
    if (command !== null) start.push(command)
  }
  return {
    start,
    // TinyGo exports both, and what its `malloc` hands out is never freed.
    allocate: find("proxy_on_memory_allocate") ?? find("malloc"),
    contextCreate: find("proxy_on_context_create"),
    vmStart: find("proxy_on_vm_start"),
    configure: find("proxy_on_configure"),
    requestHeaders: find("proxy_on_request_headers"),
    responseHeaders: find("proxy_on_response_headers"),
    done: find("proxy_on_done"),
    log: find("proxy_on_log"),
    delete: find("proxy_on_delete"),
  }
}
