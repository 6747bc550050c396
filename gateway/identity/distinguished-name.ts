// The subject of a certificate as text (RFC 2253): the last part first, and every octet that could end a part, a quoted text
// or a header's value written in hexadecimal.

import { type DerReader, OBJECT_IDENTIFIER, SEQUENCE, SET } from "./der-reader.ts"

const KEYWORDS: ReadonlyMap<string, string> = new Map([
  ["2.5.4.3", "CN"],
  ["2.5.4.6", "C"],
  ["2.5.4.7", "L"],
  ["2.5.4.8", "ST"],
  ["2.5.4.9", "STREET"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
  ["0.9.2342.19200300.100.1.25", "DC"],
  ["0.9.2342.19200300.100.1.1", "UID"],
  ["2.5.4.5", "serialNumber"],
  ["1.2.840.113549.1.9.1", "emailAddress"],
])
const COMMON_NAME = "2.5.4.3"
const UTF8 = 0x0c
const PRINTABLE = 0x13
const TELETEX = 0x14
const IA5 = 0x16
const BMP = 0x1e

export interface DistinguishedName {
  readonly text: string
  /** Its last common name; "" when it has none that is printable ASCII. */
  readonly commonName: string
}

/** Of the name whose content `reader` is at; null when it is none. */
export function distinguishedName(reader: DerReader): DistinguishedName | null {
  const parts: string[] = []
  let commonName = ""
  while (reader.next()) {
    if (reader.tag !== SET) return null
    const attributes: string[] = []
    const set = reader.inside()
    while (set.next()) {
      if (set.tag !== SEQUENCE) return null
      const pair = set.inside()
      if (!pair.expect(OBJECT_IDENTIFIER)) return null
      const type = pair.oid()
      if (type === "" || !pair.next()) return null
      const octets = textOctets(pair.tag, pair.content())
      attributes.push(`${KEYWORDS.get(type) ?? type}=${octets === null ? `#${hex(pair.bytes, pair.head, pair.end)}` : escaped(octets)}`)
      if (type === COMMON_NAME && octets !== null && isPrintable(octets)) commonName = Buffer.from(octets).toString("latin1")
    }
    parts.unshift(attributes.join("+"))
  }
  return { text: parts.join(","), commonName }
}

/** UTF-8 of a text; null when the value is none. */
function textOctets(tag: number, content: Uint8Array): Uint8Array | null {
  if (tag === UTF8 || tag === PRINTABLE || tag === IA5 || tag === TELETEX) return content
  if (tag !== BMP || content.length % 2 !== 0) return null
  const swapped = Buffer.from(content).swap16()
  return Buffer.from(swapped.toString("utf16le"), "utf8")
}

function isPrintable(octets: Uint8Array): boolean {
  for (const octet of octets) if (octet < 0x20 || octet > 0x7e) return false
  return octets.length > 0
}

function escaped(octets: Uint8Array): string {
  let text = ""
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i]
    const char = String.fromCharCode(octet)
    const edge = (i === 0 && (char === " " || char === "#")) || (i === octets.length - 1 && char === " ")
    if (octet < 0x20 || octet > 0x7e || edge || '"\\'.includes(char)) text += `\\${octet.toString(16).padStart(2, "0").toUpperCase()}`
    else if (",+<>;".includes(char)) text += `\\${char}`
    else text += char
  }
  return text
}

function hex(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.subarray(from, to)).toString("hex")
}
