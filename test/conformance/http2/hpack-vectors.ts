// The examples of RFC 7541 Appendix C: blocks, the fields they carry, and the table after each.

export type Field = readonly [name: string, value: string]

export interface Vector {
  readonly section: string
  readonly octets: string
  readonly fields: readonly Field[]
  /** The dynamic table after it, newest first. */
  readonly table: readonly Field[]
  readonly size: number
}

export interface Sequence {
  readonly title: string
  /** SETTINGS_HEADER_TABLE_SIZE. */
  readonly tableSize: number
  readonly blocks: readonly Vector[]
}

const authority: Field = [":authority", "www.example.com"]
const noCache: Field = ["cache-control", "no-cache"]
const custom: Field = ["custom-key", "custom-value"]
const request = (scheme: string, path: string): Field[] => [[":method", "GET"], [":scheme", scheme], [":path", path], authority]

const requests: readonly (readonly Field[])[] = [
  request("http", "/"),
  [...request("http", "/"), noCache],
  [...request("https", "/index.html"), custom],
]
const requestTables: readonly (readonly Field[])[] = [[authority], [noCache, authority], [custom, noCache, authority]]
const requestSizes = [57, 110, 164]

const isPrivate: Field = ["cache-control", "private"]
const date: Field = ["date", "Mon, 21 Oct 2013 20:13:21 GMT"]
const later: Field = ["date", "Mon, 21 Oct 2013 20:13:22 GMT"]
const location: Field = ["location", "https://www.example.com"]
const gzip: Field = ["content-encoding", "gzip"]
const cookie: Field = ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"]

const responses: readonly (readonly Field[])[] = [
  [[":status", "302"], isPrivate, date, location],
  [[":status", "307"], isPrivate, date, location],
  [[":status", "200"], isPrivate, later, location, gzip, cookie],
]
const responseTables: readonly (readonly Field[])[] = [
  [location, date, isPrivate, [":status", "302"]],
  [[":status", "307"], location, date, isPrivate],
  [cookie, gzip, later],
]
const responseSizes = [222, 222, 215]

function sequence(
  section: string,
  tableSize: number,
  octets: readonly string[],
  fields: readonly (readonly Field[])[],
  tables: readonly (readonly Field[])[],
  sizes: readonly number[],
): Sequence {
  return {
    title: section,
    tableSize,
    blocks: octets.map((text, i) => ({
      section: `${section}.${i + 1}`,
      octets: text,
      fields: fields[i],
      table: tables[i],
      size: sizes[i],
    })),
  }
}

const alone = (section: string, octets: string, field: Field, size: number): Sequence =>
  sequence(section, 4096, [octets], [[field]], [size === 0 ? [] : [field]], [size])

export const sequences: readonly Sequence[] = [
  alone("C.2.1", "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key", "custom-header"], 55),
  alone("C.2.2", "040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"], 0),
  alone("C.2.3", "1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret"], 0),
  alone("C.2.4", "82", [":method", "GET"], 0),
  sequence(
    "C.3",
    4096,
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    requests,
    requestTables,
    requestSizes,
  ),
  sequence(
    "C.4",
    4096,
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
    requests,
    requestTables,
    requestSizes,
  ),
  sequence(
    "C.5",
    256,
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768
       7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      "4803 3330 37c1 c0bf",
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153
       444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
       3d31`,
    ],
    responses,
    responseTables,
    responseSizes,
  ),
  sequence(
    "C.6",
    256,
    [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8
       e9ae 82ae 43d3`,
      "4883 640e ffc1 c0bf",
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b
       3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
    responses,
    responseTables,
    responseSizes,
  ),
]

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ""), "hex")
}
