// ClientHello messages octet by octet, right ones and wrong ones, and the records they travel in.

export interface HelloParts {
  readonly serverName?: string
  readonly protocols?: readonly string[]
  /** Extensions before those two: type and body. */
  readonly extensions?: readonly (readonly [type: number, body: Buffer])[]
  /** Octets of a padding extension. */
  readonly padding?: number
  readonly session?: number
}

function sized(width: 1 | 2 | 3, body: Buffer): Buffer {
  const size = Buffer.alloc(width)
  size.writeUIntBE(body.length, 0, width)
  return Buffer.concat([size, body])
}

export function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 255]), sized(2, body)])
}

/** The body of a server_name extension: `names` as host names. */
export function serverNames(...names: readonly string[]): Buffer {
  return sized(2, Buffer.concat(names.map((name) => Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name, "latin1"))]))))
}

/** The body of an ALPN extension. */
export function protocolNames(...names: readonly string[]): Buffer {
  return sized(2, Buffer.concat(names.map((name) => sized(1, Buffer.from(name, "latin1")))))
}

/** A handshake message, without its record. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const extensions = [...(parts.extensions ?? [])]
  if (parts.serverName !== undefined) extensions.push([0, serverNames(parts.serverName)])
  if (parts.protocols !== undefined) extensions.push([16, protocolNames(...parts.protocols)])
  if (parts.padding !== undefined) extensions.push([21, Buffer.alloc(parts.padding)])
  return rawHello(sized(2, Buffer.concat(extensions.map(([type, body]) => extension(type, body)))), parts.session)
}

/** A handshake message that ends in `tail` where its extensions would be. */
export function rawHello(tail: Buffer, session: number = 32): Buffer {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(session, 9)),
    sized(2, Buffer.from([0x13, 0x01, 0x13, 0x02])),
    sized(1, Buffer.from([0])),
    tail,
  ])
  return Buffer.concat([Buffer.from([1]), sized(3, body)])
}

/** In records that end after the octets `cuts` of the message, and at its end. */
export function records(message: Buffer, ...cuts: readonly number[]): Buffer {
  const ends = [...cuts, message.length]
  return Buffer.concat(
    ends.map((end, i) => Buffer.concat([Buffer.from([22, 3, 1]), sized(2, message.subarray(i === 0 ? 0 : ends[i - 1], end))])),
  )
}
