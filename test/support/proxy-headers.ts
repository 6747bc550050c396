// PROXY headers octet by octet, right ones and wrong ones.

import { crc32c } from "../../gateway/tcp/crc32c.ts"

export const SIGNATURE: Buffer = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")

/** A version 2 header around `body`. `command`: 0x21 = PROXY, 0x20 = LOCAL. */
export function v2(family: number, body: Uint8Array, command = 0x21, length = body.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 255]), body])
}

/** From 192.0.2.7:4242 to 198.51.100.1:443. */
export const four: Buffer = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 16, 146, 1, 187])

/** From [2001:db8::7]:4242 to [2001:db8::1]:443. */
export const six: Buffer = Buffer.from("20010db800000000000000000000000720010db8000000000000000000000001109201bb", "hex")

export function tlv(type: number, value: string | Uint8Array, length?: number): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value, "latin1") : value
  const size = length ?? bytes.length
  return Buffer.concat([Buffer.from([type, size >> 8, size & 255]), bytes])
}

/** A header from 192.0.2.7:4242 with these TLVs, and its checksum behind them. */
export function checksummed(...tlvs: readonly Buffer[]): Buffer {
  const header = v2(0x11, Buffer.concat([four, ...tlvs, tlv(3, Buffer.alloc(4))]))
  header.writeUInt32BE(crc32c(header, 0, header.length), header.length - 4)
  return header
}
