// SHA-256, SHA-384 and SHA-512 (FIPS 180-4) for hosts that don't offer them.

/** Fractional parts of the cube roots of the first 80 primes; their upper halves are the constants of SHA-256. */
function constants(): usize {
  return memory.data<u64>([
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
  ])
}
/** Initial state of SHA-512; the upper halves are SHA-256's. */
function initial512(): usize {
  return memory.data<u64>([
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
  ])
}
/** Initial state of SHA-384. */
function initial384(): usize {
  return memory.data<u64>([
    0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
    0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4,
  ])
}

const BLOCK_256: i32 = 64
const BLOCK_512: i32 = 128

// Areas and tables are behind functions so that a filter that makes no digests doesn't contain them.

/** The message schedule. */
function schedule(): usize {
  return memory.data(80 * 8, 16)
}

/** The eight words of the state. */
function state(): usize {
  return memory.data(8 * 8, 16)
}

/** The end of the message with its padding. */
function padding(): usize {
  return memory.data(2 * 128, 16)
}

/** Copies what is left after the whole blocks, pads it, and answers how many octets that makes. */
function pad(source: usize, size: i32, done: i32, block: i32): i32 {
  const last = padding()
  const rest = size - done
  memory.copy(last, source + <usize>done, <usize>rest)
  const total = rest + 1 + (block >> 3) > block ? block << 1 : block
  memory.fill(last + <usize>rest, 0, <usize>(total - rest))
  store<u8>(last + <usize>rest, 0x80)
  store<u64>(last + <usize>total - 8, bswap<u64>(<u64>size << 3))
  return total
}

export function sha256Of(source: usize, size: i32): Uint8Array {
  const h = state()
  const last = padding()
  for (let i = 0; i < 8; i++) store<u32>(h + ((<usize>i) << 2), <u32>(load<u64>(initial512() + ((<usize>i) << 3)) >> 32))
  const whole = size & ~(BLOCK_256 - 1)
  for (let at = 0; at < whole; at += BLOCK_256) block256(source + <usize>at)
  const tail = pad(source, size, whole, BLOCK_256)
  for (let at = 0; at < tail; at += BLOCK_256) block256(last + <usize>at)
  const digest = new Uint8Array(32)
  for (let i = 0; i < 8; i++) store<u32>(digest.dataStart + ((<usize>i) << 2), bswap<u32>(load<u32>(h + ((<usize>i) << 2))))
  return digest
}

function block256(block: usize): void {
  const h = state()
  const w = schedule()
  const k256 = constants()
  for (let i = 0; i < 16; i++) store<u32>(w + ((<usize>i) << 2), bswap<u32>(load<u32>(block + ((<usize>i) << 2))))
  for (let i = 16; i < 64; i++) {
    const at = w + ((<usize>i) << 2)
    const x = load<u32>(at - 60)
    const y = load<u32>(at - 8)
    const s0 = rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ (x >> 3)
    const s1 = rotr<u32>(y, 17) ^ rotr<u32>(y, 19) ^ (y >> 10)
    store<u32>(at, load<u32>(at - 64) + s0 + load<u32>(at - 28) + s1)
  }
  let a = load<u32>(h)
  let b = load<u32>(h, 4)
  let c = load<u32>(h, 8)
  let d = load<u32>(h, 12)
  let e = load<u32>(h, 16)
  let f = load<u32>(h, 20)
  let g = load<u32>(h, 24)
  let k = load<u32>(h, 28)
  for (let i = 0; i < 64; i++) {
    const s1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25)
    const t1 = k + s1 + ((e & f) ^ (~e & g)) + load<u32>(k256 + ((<usize>i) << 3), 4) + load<u32>(w + ((<usize>i) << 2))
    const s0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22)
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
    k = g
    g = f
    f = e
    e = d + t1
    d = c
    c = b
    b = a
    a = t1 + t2
  }
  store<u32>(h, load<u32>(h) + a)
  store<u32>(h, load<u32>(h, 4) + b, 4)
  store<u32>(h, load<u32>(h, 8) + c, 8)
  store<u32>(h, load<u32>(h, 12) + d, 12)
  store<u32>(h, load<u32>(h, 16) + e, 16)
  store<u32>(h, load<u32>(h, 20) + f, 20)
  store<u32>(h, load<u32>(h, 24) + g, 24)
  store<u32>(h, load<u32>(h, 28) + k, 28)
}

export function sha512Of(source: usize, size: i32): Uint8Array {
  return wide(source, size, initial512(), 64)
}

export function sha384Of(source: usize, size: i32): Uint8Array {
  return wide(source, size, initial384(), 48)
}

function wide(source: usize, size: i32, initial: usize, length: i32): Uint8Array {
  const h = state()
  const last = padding()
  memory.copy(h, initial, 64)
  const whole = size & ~(BLOCK_512 - 1)
  for (let at = 0; at < whole; at += BLOCK_512) block512(source + <usize>at)
  const tail = pad(source, size, whole, BLOCK_512)
  for (let at = 0; at < tail; at += BLOCK_512) block512(last + <usize>at)
  const digest = new Uint8Array(length)
  for (let i = 0; i < length; i += 8) store<u64>(digest.dataStart + <usize>i, bswap<u64>(load<u64>(h + <usize>i)))
  return digest
}

function block512(block: usize): void {
  const h = state()
  const w = schedule()
  const k512 = constants()
  for (let i = 0; i < 16; i++) store<u64>(w + ((<usize>i) << 3), bswap<u64>(load<u64>(block + ((<usize>i) << 3))))
  for (let i = 16; i < 80; i++) {
    const at = w + ((<usize>i) << 3)
    const x = load<u64>(at - 120)
    const y = load<u64>(at - 16)
    const s0 = rotr<u64>(x, 1) ^ rotr<u64>(x, 8) ^ (x >> 7)
    const s1 = rotr<u64>(y, 19) ^ rotr<u64>(y, 61) ^ (y >> 6)
    store<u64>(at, load<u64>(at - 128) + s0 + load<u64>(at - 56) + s1)
  }
  let a = load<u64>(h)
  let b = load<u64>(h, 8)
  let c = load<u64>(h, 16)
  let d = load<u64>(h, 24)
  let e = load<u64>(h, 32)
  let f = load<u64>(h, 40)
  let g = load<u64>(h, 48)
  let k = load<u64>(h, 56)
  for (let i = 0; i < 80; i++) {
    const s1 = rotr<u64>(e, 14) ^ rotr<u64>(e, 18) ^ rotr<u64>(e, 41)
    const t1 = k + s1 + ((e & f) ^ (~e & g)) + load<u64>(k512 + ((<usize>i) << 3)) + load<u64>(w + ((<usize>i) << 3))
    const s0 = rotr<u64>(a, 28) ^ rotr<u64>(a, 34) ^ rotr<u64>(a, 39)
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
    k = g
    g = f
    f = e
    e = d + t1
    d = c
    c = b
    b = a
    a = t1 + t2
  }
  store<u64>(h, load<u64>(h) + a)
  store<u64>(h, load<u64>(h, 8) + b, 8)
  store<u64>(h, load<u64>(h, 16) + c, 16)
  store<u64>(h, load<u64>(h, 24) + d, 24)
  store<u64>(h, load<u64>(h, 32) + e, 32)
  store<u64>(h, load<u64>(h, 40) + f, 40)
  store<u64>(h, load<u64>(h, 48) + g, 48)
  store<u64>(h, load<u64>(h, 56) + k, 56)
}
