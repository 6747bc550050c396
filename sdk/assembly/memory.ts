// How bytes pass between host and filter without feeding the garbage collector. The host allocates exactly one block per
// call and this library consumes it before the next call, so one scratch area serves nearly all of them.

/** Addresses at which the host writes its results: pointer, size, a word (CAS), then eight bytes (time). */
export const OUT_DATA: usize = memory.data(32, 8)
export const OUT_SIZE: usize = OUT_DATA + 4
export const OUT_WORD: usize = OUT_DATA + 8
export const OUT_LONG: usize = OUT_DATA + 16

const SCRATCH_SIZE: i32 = 4096
const scratch: usize = memory.data(4096, 16)

/** What `proxy_on_memory_allocate` does: the scratch area, or a heap block when a value is larger. */
export function allocate(size: i32): usize {
  return <u32>size <= <u32>SCRATCH_SIZE ? scratch : heap.alloc(<usize>size)
}

/** Gives back a block made by {@link allocate}. */
export function release(block: usize): void {
  if (block != scratch && block != 0) heap.free(block)
}

/** Forgets what an earlier call left in the out-words. */
// @ts-ignore: decorator
@inline
export function clearResult(): void {
  store<u64>(OUT_DATA, 0)
}

/** Copies the host's result into a buffer of its own. */
export function takeBytes(): ArrayBuffer {
  const data = <usize>load<u32>(OUT_DATA)
  const size = load<i32>(OUT_SIZE)
  const bytes = new ArrayBuffer(size)
  memory.copy(changetype<usize>(bytes), data, <usize>size)
  release(data)
  return bytes
}

/** As {@link takeBytes}. */
export function takeUint8Array(): Uint8Array {
  return Uint8Array.wrap(takeBytes())
}
