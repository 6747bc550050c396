// The least of a Proxy-Wasm host that the SDK's tests need: one exchange at a time, everything recorded.

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const CAS_MISMATCH = 8

export interface FakeReply {
  readonly status: number
  readonly body: string
  readonly details: string
  readonly headers: readonly (readonly [string, string])[]
  readonly grpcStatus: number
}

interface Exports {
  readonly memory: WebAssembly.Memory
  proxy_on_memory_allocate(size: number): number
  proxy_on_context_create(id: number, parent: number): void
  proxy_on_configure?(id: number, size: number): number
  proxy_on_request_headers?(id: number, count: number, end: number): number
  proxy_on_request_body?(id: number, size: number, end: number): number
  proxy_on_response_headers?(id: number, count: number, end: number): number
  proxy_on_log?(id: number): void
  proxy_on_delete(id: number): void
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "critical"]

export class FakeHost {
  readonly exports: Exports
  readonly logs: string[] = []
  /** Header bytes are latin1 strings, as in the gateway. */
  request: [string, string][] = []
  response: [string, string][] = []
  reply: FakeReply | null = null
  configuration = ""
  logLevel = 0
  /** Milliseconds. */
  time = 1_000_000
  readonly shared = new Map<string, { value: Uint8Array; cas: number }>()
  readonly properties = new Map<string, Uint8Array>()
  /** Functions beyond the ABI: none, as in hosts other than the gateway. */
  readonly foreign = new Map<string, (argument: Buffer) => Uint8Array>()
  /** Of the request, whole. */
  body: Uint8Array = new Uint8Array(0)
  /** Runs before a shared write: another thread's chance. */
  beforeSharedWrite: (() => void) | null = null
  #cas = 0
  #nextId = 100

  constructor(wasm: Uint8Array | WebAssembly.Module) {
    const module = wasm instanceof WebAssembly.Module ? wasm : new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>)
    this.exports = new WebAssembly.Instance(module, { env: this.#imports() }).exports as unknown as Exports
  }

  /** Starts a plugin and returns whether it accepted its configuration. */
  configure(configuration: unknown, id = 1): boolean {
    this.configuration = typeof configuration === "string" ? configuration : JSON.stringify(configuration)
    this.exports.proxy_on_context_create(id, 0)
    return (this.exports.proxy_on_configure?.(id, Buffer.byteLength(this.configuration)) ?? 1) !== 0
  }

  open(plugin = 1): number {
    const id = this.#nextId++
    this.reply = null
    this.exports.proxy_on_context_create(id, plugin)
    return id
  }

  /** Runs the request phase; true if the request goes on. */
  onRequest(id: number, headers: Record<string, string> = {}, end = true): boolean {
    this.request = [[":method", "GET"], [":path", "/"], [":authority", "example.com"], [":scheme", "http"], ...Object.entries(headers)]
    const given = new Map(Object.entries(headers))
    this.request = this.request.filter(([name], index) => index >= 4 || !given.has(name))
    return (this.exports.proxy_on_request_headers?.(id, this.request.length, end ? 1 : 0) ?? 0) === 0
  }

  /** Shows {@link body}; true if it goes on. */
  onRequestBody(id: number): boolean {
    return (this.exports.proxy_on_request_body?.(id, this.body.length, 1) ?? 0) === 0
  }

  onResponse(id: number, headers: Record<string, string> = {}): boolean {
    this.response = [[":status", "200"], ...Object.entries(headers)]
    return (this.exports.proxy_on_response_headers?.(id, this.response.length, 1) ?? 0) === 0
  }

  close(id: number): void {
    this.exports.proxy_on_log?.(id)
    this.exports.proxy_on_delete(id)
  }

  header(name: string, headers = this.request): string | undefined {
    return headers.find(([key]) => key === name)?.[1]
  }

  #imports(): Record<string, (...values: number[]) => number> {
    const map = (type: number): [string, string][] | null => (type === 0 ? this.request : type === 2 ? this.response : null)
    return {
      proxy_log: (level, data, size) => {
        this.logs.push(`${LEVELS[level]}: ${this.#utf8(data, size)}`)
        return OK
      },
      proxy_get_log_level: (out) => this.#word(out, this.logLevel),
      proxy_get_current_time_nanoseconds: (out) => {
        new DataView(this.exports.memory.buffer).setBigUint64(out, BigInt(this.time) * 1_000_000n, true)
        return OK
      },
      proxy_get_buffer_bytes: (type, start, max, data, size) => {
        if (type !== 7 && type !== 0) return NOT_FOUND
        const bytes = type === 0 ? this.body : Buffer.from(this.configuration)
        return this.#give(bytes.subarray(start, start + (max >>> 0)), data, size)
      },
      proxy_call_foreign_function: (name, nameSize, argument, argumentSize, data, size) => {
        const run = this.foreign.get(this.#utf8(name, nameSize))
        return run === undefined ? NOT_FOUND : this.#give(run(Buffer.from(this.#bytes(argument, argumentSize))), data, size)
      },
      proxy_get_header_map_pairs: (type, data, size) => this.#give(encodePairs(map(type) ?? []), data, size),
      proxy_get_header_map_value: (type, key, keySize, data, size) => {
        const found = map(type)?.find(([name]) => name === this.#latin1(key, keySize))
        return found === undefined ? NOT_FOUND : this.#give(Buffer.from(found[1], "latin1"), data, size)
      },
      proxy_add_header_map_value: (type, key, keySize, value, valueSize) => this.#edit(map(type), key, keySize, value, valueSize, false),
      proxy_replace_header_map_value: (type, key, keySize, value, valueSize) => this.#edit(map(type), key, keySize, value, valueSize, true),
      proxy_remove_header_map_value: (type, key, keySize) => {
        const headers = map(type)
        const name = this.#latin1(key, keySize)
        for (let i = (headers?.length ?? 0) - 1; i >= 0; i--) if (headers?.[i][0] === name) headers.splice(i, 1)
        return OK
      },
      proxy_send_local_response: (status, details, detailsSize, body, bodySize, headers, headersSize, grpcStatus) => {
        const pairs = decodePairs(this.#bytes(headers, headersSize))
        if (pairs.some(([name, value]) => /[^!#$%&'*+.^_`|~0-9a-z-]/.test(name) || /[\r\n\0]/.test(value))) return BAD_ARGUMENT
        this.reply = { status, body: this.#utf8(body, bodySize), details: this.#utf8(details, detailsSize), headers: pairs, grpcStatus }
        return OK
      },
      proxy_get_shared_data: (key, keySize, data, size, cas) => {
        const entry = this.shared.get(this.#utf8(key, keySize))
        if (entry === undefined) return NOT_FOUND
        this.#give(entry.value, data, size)
        return this.#word(cas, entry.cas)
      },
      proxy_set_shared_data: (key, keySize, value, valueSize, cas) => {
        const name = this.#utf8(key, keySize)
        const bytes = this.#bytes(value, valueSize).slice()
        this.beforeSharedWrite?.()
        const entry = this.shared.get(name)
        if (cas !== 0 && entry !== undefined && entry.cas !== cas >>> 0) return CAS_MISMATCH
        this.shared.set(name, { value: bytes, cas: ++this.#cas })
        return OK
      },
      proxy_get_property: (path, pathSize, data, size) => {
        const value = this.properties.get(this.#utf8(path, pathSize))
        return value === undefined ? NOT_FOUND : this.#give(value, data, size)
      },
    }
  }

  #edit(headers: [string, string][] | null, key: number, keySize: number, value: number, valueSize: number, replace: boolean): number {
    if (headers === null) return BAD_ARGUMENT
    const name = this.#latin1(key, keySize)
    const text = this.#latin1(value, valueSize)
    if (name === "" || /[\r\n\0 ]/.test(name) || /[\r\n\0]/.test(text)) return BAD_ARGUMENT
    const at = headers.findIndex(([other]) => other === name)
    if (!replace || at < 0) {
      headers.push([name, text])
      return OK
    }
    headers[at][1] = text
    for (let i = headers.length - 1; i > at; i--) if (headers[i][0] === name) headers.splice(i, 1)
    return OK
  }

  #bytes(data: number, size: number): Uint8Array {
    const end = (data >>> 0) + (size >>> 0)
    if (end > this.exports.memory.buffer.byteLength) throw new Error("pointer outside of memory")
    return new Uint8Array(this.exports.memory.buffer, data >>> 0, size >>> 0)
  }

  #utf8(data: number, size: number): string {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#bytes(data, size))
  }

  #latin1(data: number, size: number): string {
    return Buffer.from(this.#bytes(data, size)).toString("latin1")
  }

  #word(out: number, value: number): number {
    new DataView(this.exports.memory.buffer).setUint32(out, value, true)
    return OK
  }

  #give(value: Uint8Array, data: number, size: number): number {
    let pointer = 0
    if (value.length > 0) {
      pointer = this.exports.proxy_on_memory_allocate(value.length) >>> 0
      this.#bytes(pointer, value.length).set(value)
    }
    this.#word(data, pointer)
    return this.#word(size, value.length)
  }
}

function encodePairs(pairs: readonly (readonly [string, string])[]): Uint8Array {
  const lengths = Buffer.alloc(4 + pairs.length * 8)
  lengths.writeUInt32LE(pairs.length, 0)
  const parts: Buffer[] = [lengths]
  pairs.forEach(([name, value], i) => {
    lengths.writeUInt32LE(name.length, 4 + i * 8)
    lengths.writeUInt32LE(value.length, 8 + i * 8)
    parts.push(Buffer.from(`${name}\0${value}\0`, "latin1"))
  })
  return Buffer.concat(parts)
}

function decodePairs(block: Uint8Array): [string, string][] {
  if (block.length === 0) return []
  const bytes = Buffer.from(block)
  const pairs: [string, string][] = []
  let at = 4 + bytes.readUInt32LE(0) * 8
  for (let i = 0; i < bytes.readUInt32LE(0); i++) {
    const nameSize = bytes.readUInt32LE(4 + i * 8)
    const valueSize = bytes.readUInt32LE(8 + i * 8)
    const name = bytes.toString("latin1", at, at + nameSize)
    at += nameSize + 1
    pairs.push([name, bytes.toString("latin1", at, at + valueSize)])
    at += valueSize + 1
  }
  if (at !== bytes.length) throw new Error("bytes after the last pair")
  return pairs
}
