// Bodies made of a token that belongs to one request only, so that an octet which ends up in another exchange is noticed.

/** `size` octets of the token over and over. */
export function tokenBody(token: string, size: number): Buffer {
  return Buffer.alloc(size, `${token}|`, "latin1")
}
