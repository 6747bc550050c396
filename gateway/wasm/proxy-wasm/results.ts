// How host calls hand values to the guest: one allocation of exactly the value's size, never one of size 0, then the two
// out-words. SDKs rebuild their own containers from these blocks and break on anything else.

import { Status } from "./enums.ts"
import type { HostVm } from "./host.ts"

/** Octets up to which a copy costs no more than the host call it is part of. */
export const CHARGED = 4096

/** What an octet of text costs to make or take apart, in octets copied. */
const TEXT_COST = 8
/** Octets that a fast machine copies in a microsecond; nominal, so that a filter's fate does not hang on what else it does. */
export const OCTETS_PER_MICROSECOND = 16_384

/** Takes what the host's own work on `octets` of pairs costs from the guest's budget. */
export function chargePairs(vm: HostVm, octets: number): void {
  vm.charge(OCTETS_PER_MICROSECOND + octets * TEXT_COST)
}

/** Takes `microseconds` from the guest's budget, and the copying of `octets` to where it costs more than in plain memory. */
export function chargeShared(vm: HostVm, microseconds: number, octets: number): void {
  vm.charge(microseconds * OCTETS_PER_MICROSECOND + octets * SHARED_COST)
}

/** What an octet costs that is copied, hashed and stored under a lock, in octets copied. */
const SHARED_COST = 16

/** Returns latin1 text through the out-addresses `data` and `length`. */
export function returnText(vm: HostVm, text: string, data: number, length: number): number {
  const memory = vm.memory
  if (!memory.inside(data, 4) || !memory.inside(length, 4)) return Status.INVALID_MEMORY_ACCESS
  let pointer = 0
  if (text.length > CHARGED) vm.charge(text.length)
  if (text.length !== 0) {
    pointer = vm.allocate(text.length)
    if (pointer === 0) return Status.INVALID_MEMORY_ACCESS
    memory.writeLatin1(pointer, text)
  }
  memory.writeWord(data, pointer)
  memory.writeWord(length, text.length)
  return Status.OK
}

/** Returns octets through the out-addresses `data` and `length`. */
export function returnBytes(vm: HostVm, bytes: Uint8Array, data: number, length: number): number {
  const memory = vm.memory
  if (!memory.inside(data, 4) || !memory.inside(length, 4)) return Status.INVALID_MEMORY_ACCESS
  let pointer = 0
  if (bytes.length > CHARGED) vm.charge(bytes.length)
  if (bytes.length !== 0) {
    pointer = vm.allocate(bytes.length)
    if (pointer === 0) return Status.INVALID_MEMORY_ACCESS
    memory.writeBytes(pointer, bytes)
  }
  memory.writeWord(data, pointer)
  memory.writeWord(length, bytes.length)
  return Status.OK
}
