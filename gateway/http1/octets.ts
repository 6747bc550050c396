// Octet classes of RFC 9110 and 9112, as tables indexed by octet.

/** Lower-cased octet for token octets (RFC 9110 §5.6.2), 0 for the others. */
export const LOWER_TOKEN: Uint8Array = new Uint8Array(256)
/** 1 for octets of a field value: HTAB, SP–~, obs-text (RFC 9110 §5.5). */
export const VALUE: Uint8Array = new Uint8Array(256)
/** 1 for octets of a request line: SP–~ without `#`. Targets are ASCII and have no fragment (RFC 9112 §3.2). */
export const REQUEST_LINE: Uint8Array = new Uint8Array(256)
/** Value of a hexadecimal digit, 255 for other octets. */
export const HEX: Uint8Array = new Uint8Array(256).fill(255)

for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") LOWER_TOKEN[char.charCodeAt(0)] = char.charCodeAt(0)
for (let c = 65; c <= 90; c++) LOWER_TOKEN[c] = c + 32
VALUE[9] = 1
for (let c = 32; c < 256; c++) VALUE[c] = c === 127 ? 0 : 1
for (let c = 32; c < 127; c++) REQUEST_LINE[c] = c === 35 ? 0 : 1
for (let c = 0; c < 10; c++) HEX[48 + c] = c
for (let c = 0; c < 6; c++) {
  HEX[65 + c] = 10 + c
  HEX[97 + c] = 10 + c
}

export const CR = 13
export const LF = 10
export const SP = 32
export const HTAB = 9
export const COLON = 58
