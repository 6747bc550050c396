// The WASI preview 1 calls that toolchains put into filters: output becomes log lines, time and randomness are real, variables
// are those of the configuration. There are no files, arguments or sockets.

import { Buffer } from "node:buffer"
import { Errno } from "./enums.ts"
import type { HostVm } from "./host.ts"

/** Limits of one call: iovecs, octets of one line. */
const MAX_IOVECS = 1024
const MAX_LINE = 16_384
const MAX_RANDOM = 65_536
/** What an octet costs, in octets copied: as a random one, and as one of a line that is decoded. */
const RANDOM_COST = 32
const DECODE_COST = 16

const STDOUT = 1
const STDERR = 2
const REALTIME = 0
const MONOTONIC = 1
/** `fd_write` in the rights of an fdstat. */
const RIGHT_FD_WRITE = 64

/** Functions by name; unknown ones of the module answer NOSYS. */
export function wasiHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm

  const environSize = vm.variables.reduce((size, variable) => size + variable.length, 0)

  return {
    fd_write(fd, iovecs, count, written) {
      memory.refresh()
      if (fd !== STDOUT && fd !== STDERR) return Errno.BADF
      if (count >>> 0 > MAX_IOVECS) return Errno.INVAL
      if (!memory.inside(iovecs, count * 8) || !memory.inside(written, 4)) return Errno.FAULT
      const level = fd === STDOUT ? "info" : "error"
      const wanted = vm.logs(level)
      let total = 0
      let line = ""
      for (let i = 0; i < count; i++) {
        const pointer = memory.view.getUint32((iovecs >>> 0) + i * 8, true)
        const length = memory.view.getUint32((iovecs >>> 0) + i * 8 + 4, true)
        if (!memory.inside(pointer, length)) return Errno.FAULT
        total += length
        if (wanted && line.length < MAX_LINE) line += memory.latin1(pointer, Math.min(length, MAX_LINE - line.length))
      }
      vm.charge(line.length * DECODE_COST)
      if (line !== "") vm.log(level, Buffer.from(line.endsWith("\n") ? line.slice(0, -1) : line, "latin1").toString("utf8"))
      memory.writeWord(written, total)
      return Errno.SUCCESS
    },

    clock_time_get(id, _precision, out) {
      memory.refresh()
      if (id !== REALTIME && id !== MONOTONIC) return Errno.NOTSUP
      if (!memory.inside(out, 8)) return Errno.FAULT
      memory.writeNanoseconds(out, id === REALTIME ? vm.clock.now() : vm.clock.monotonic())
      return Errno.SUCCESS
    },

    clock_res_get(_id, out) {
      memory.refresh()
      if (!memory.inside(out, 8)) return Errno.FAULT
      memory.writeWord(out, 1)
      memory.writeWord(out + 4, 0)
      return Errno.SUCCESS
    },

    random_get(pointer, length) {
      memory.refresh()
      const n = length >>> 0
      if (n > MAX_RANDOM) return Errno.INVAL
      if (!memory.inside(pointer, n)) return Errno.FAULT
      vm.charge(n * RANDOM_COST)
      if (n > 0) crypto.getRandomValues(new Uint8Array(memory.bytes.buffer as ArrayBuffer, pointer >>> 0, n))
      return Errno.SUCCESS
    },

    environ_sizes_get(count, size) {
      memory.refresh()
      if (!memory.inside(count, 4) || !memory.inside(size, 4)) return Errno.FAULT
      memory.writeWord(count, vm.variables.length)
      memory.writeWord(size, environSize)
      return Errno.SUCCESS
    },

    environ_get(pointers, buffer) {
      memory.refresh()
      if (!memory.inside(pointers, vm.variables.length * 4) || !memory.inside(buffer, environSize)) return Errno.FAULT
      let word = pointers >>> 0
      let at = buffer >>> 0
      for (const variable of vm.variables) {
        memory.writeWord(word, at)
        memory.writeBytes(at, variable)
        word += 4
        at += variable.length
      }
      return Errno.SUCCESS
    },

    args_sizes_get(count, size) {
      memory.refresh()
      if (!memory.inside(count, 4) || !memory.inside(size, 4)) return Errno.FAULT
      memory.writeWord(count, 0)
      memory.writeWord(size, 0)
      return Errno.SUCCESS
    },

    args_get: () => Errno.SUCCESS,
    proc_exit: (code) => vm.exit(`exit code ${code}`, code),

    poll_oneoff(_subscriptions, _events, _count, out) {
      memory.refresh()
      if (!memory.inside(out, 4)) return Errno.FAULT
      memory.writeWord(out, 0)
      return Errno.SUCCESS
    },

    sched_yield: () => Errno.SUCCESS,

    fd_fdstat_get(fd, out) {
      memory.refresh()
      if (fd !== STDOUT && fd !== STDERR) return Errno.BADF
      if (!memory.inside(out, 24)) return Errno.FAULT
      for (let i = 0; i < 24; i += 4) memory.writeWord(out + i, 0)
      memory.writeWord(out + 8, RIGHT_FD_WRITE)
      return Errno.SUCCESS
    },

    fd_close: () => Errno.SUCCESS,

    // Toolchains look where their output stands before they write it.
    fd_seek(_fd, _offset, _whence, out) {
      memory.refresh()
      if (!memory.inside(out, 8)) return Errno.FAULT
      memory.writeWord(out, 0)
      memory.writeWord(out + 4, 0)
      return Errno.SUCCESS
    },

    fd_read: () => Errno.NOSYS,
    fd_pread: () => Errno.NOSYS,
    fd_fdstat_set_flags: () => Errno.NOSYS,
    fd_prestat_get: () => Errno.BADF,
    fd_prestat_dir_name: () => Errno.NOSYS,
    fd_filestat_get: () => Errno.BADF,
    fd_readdir: () => Errno.NOTDIR,
    path_open: () => Errno.NOENT,
  }
}

/** What a WASI function that {@link wasiHostCalls} does not know answers. */
export function unknownWasi(name: string): number {
  return name.startsWith("path_") || name.startsWith("sock_") ? Errno.NOTSUP : Errno.NOSYS
}
