// Writes DER (ITU-T X.690), as far as certificates need it.

/** One value: its tag, its length, its octets. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Buffer.concat([Buffer.from(length < 128 ? [tag, length] : [tag, 0x80 | octets.length, ...octets]), content])
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, ...parts)
}

/** A positive whole number, most significant octet first. */
export function integer(octets: Uint8Array): Buffer {
  return der(0x02, octets[0] < 0x80 ? octets : Buffer.concat([Buffer.from([0]), octets]))
}

/** An object identifier, written with dots. */
export function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split(".").map(Number)
  const octets = [first * 40 + second]
  for (const arc of rest) {
    const digits = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f))
    octets.push(...digits)
  }
  return der(0x06, Buffer.from(octets))
}

export function utf8(text: string): Buffer {
  return der(0x0c, Buffer.from(text))
}

export function bits(octets: Uint8Array, unused: number = 0): Buffer {
  return der(0x03, Buffer.from([unused]), octets)
}

/** A time as certificates have it (RFC 5280 §4.1.2.5): two digits of the year up to 2049. */
export function time(date: Date): Buffer {
  const text = `${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}

/** `[n]`, constructed, around what it tags. */
export function explicit(n: number, ...parts: readonly Uint8Array[]): Buffer {
  return der(0xa0 | n, ...parts)
}

/** `[n]` in place of the tag of a primitive value. */
export function implicit(n: number, content: Uint8Array): Buffer {
  return der(0x80 | n, content)
}
