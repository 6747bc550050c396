// Foreign functions as a guest calls them: name and argument in its memory, the result where its allocator put it.

import { Buffer } from "node:buffer"
import { Direct, type DirectOptions, OUT, OUT2 } from "./direct.ts"

/** Where arguments are laid, of up to 2 MiB; the guest's allocator works from 4096 on. */
const NAME = 0xc00000
const ARGUMENT = 0xc00080

export class Foreign extends Direct {
  constructor(options: DirectOptions = {}) {
    super({ memory: "256 256", ...options, spec: { cpuMs: 10_000, memory: 16 << 20, ...options.spec } })
  }

  /** The result's octets, or the status. */
  foreign(name: string, argument: Uint8Array | string = ""): Buffer | number {
    const status = this.foreignStatus(name, argument, OUT, OUT2)
    return status === 0 ? Buffer.from(this.result(), "latin1") : status
  }

  foreignStatus(name: string, argument: Uint8Array | string, data: number, length: number): number {
    const octets = typeof argument === "string" ? Buffer.from(argument, "latin1") : argument
    const { memory } = this.vm
    memory.refresh()
    memory.bytes.write(name, NAME, "latin1")
    memory.bytes.set(octets, ARGUMENT)
    return this.call("proxy_call_foreign_function", NAME, name.length, ARGUMENT, octets.length, data, length)
  }
}

/** A protobuf message of text, octets (by field number) and, as numbers, varints below 128. */
export function message(fields: Readonly<Record<number, string | Uint8Array | number>>): Buffer {
  const parts: Uint8Array[] = []
  for (const [field, value] of Object.entries(fields)) {
    if (typeof value === "number") {
      parts.push(Uint8Array.from([Number(field) << 3, value]))
      continue
    }
    const octets = Buffer.from(value as string)
    const length: number[] = []
    for (let rest = octets.length; ; rest >>>= 7) {
      length.push(rest < 128 ? rest : (rest & 127) | 128)
      if (rest < 128) break
    }
    parts.push(Uint8Array.from([(Number(field) << 3) | 2, ...length]), octets)
  }
  return Buffer.concat(parts)
}

export function u32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}
