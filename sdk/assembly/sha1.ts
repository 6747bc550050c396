// SHA-1 (FIPS 180-4), for checking old signatures, for hosts that don't offer it.

// Areas are behind functions so that a filter that makes no digests doesn't contain them.

function schedule(): usize {
  return memory.data(80 * 4, 16)
}

function state(): usize {
  return memory.data(5 * 4, 16)
}

function padding(): usize {
  return memory.data(2 * 64, 16)
}

export function sha1Of(source: usize, size: i32): Uint8Array {
  const h = state()
  const last = padding()
  store<u32>(h, 0x67452301)
  store<u32>(h, 0xefcdab89, 4)
  store<u32>(h, 0x98badcfe, 8)
  store<u32>(h, 0x10325476, 12)
  store<u32>(h, 0xc3d2e1f0, 16)
  const whole = size & ~63
  for (let at = 0; at < whole; at += 64) block(source + <usize>at)
  const rest = size - whole
  const total = rest > 55 ? 128 : 64
  memory.copy(last, source + <usize>whole, <usize>rest)
  memory.fill(last + <usize>rest, 0, <usize>(total - rest))
  store<u8>(last + <usize>rest, 0x80)
  store<u64>(last + <usize>total - 8, bswap<u64>(<u64>size << 3))
  for (let at = 0; at < total; at += 64) block(last + <usize>at)
  const digest = new Uint8Array(20)
  for (let i = 0; i < 20; i += 4) store<u32>(digest.dataStart + <usize>i, bswap<u32>(load<u32>(h + <usize>i)))
  return digest
}

function block(source: usize): void {
  const h = state()
  const w = schedule()
  for (let i = 0; i < 16; i++) store<u32>(w + ((<usize>i) << 2), bswap<u32>(load<u32>(source + ((<usize>i) << 2))))
  for (let i = 16; i < 80; i++) {
    const at = w + ((<usize>i) << 2)
    store<u32>(at, rotl<u32>(load<u32>(at - 12) ^ load<u32>(at - 32) ^ load<u32>(at - 56) ^ load<u32>(at - 64), 1))
  }
  let a = load<u32>(h)
  let b = load<u32>(h, 4)
  let c = load<u32>(h, 8)
  let d = load<u32>(h, 12)
  let e = load<u32>(h, 16)
  for (let i = 0; i < 80; i++) {
    let f: u32
    let k: u32
    if (i < 20) {
      f = (b & c) | (~b & d)
      k = 0x5a827999
    } else if (i < 40) {
      f = b ^ c ^ d
      k = 0x6ed9eba1
    } else if (i < 60) {
      f = (b & c) | (b & d) | (c & d)
      k = 0x8f1bbcdc
    } else {
      f = b ^ c ^ d
      k = 0xca62c1d6
    }
    const next = rotl<u32>(a, 5) + f + e + k + load<u32>(w + ((<usize>i) << 2))
    e = d
    d = c
    c = rotl<u32>(b, 30)
    b = a
    a = next
  }
  store<u32>(h, load<u32>(h) + a)
  store<u32>(h, load<u32>(h, 4) + b, 4)
  store<u32>(h, load<u32>(h, 8) + c, 8)
  store<u32>(h, load<u32>(h, 12) + d, 12)
  store<u32>(h, load<u32>(h, 16) + e, 16)
}
