// Characters for property tests: any of Unicode, half of them of its first 256, where what is special is. `unit: "binary"` of fast-check
// is the same but for building tables first, which is more than a second of CPU in every file that uses it.

import fc from "fast-check"

const LAST = 0x10ffff
/** The surrogates are no characters. */
const FIRST_SURROGATE = 0xd800
const SURROGATES = 0x800

export const anyCharacter: fc.Arbitrary<string> = fc
  .oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: LAST - SURROGATES }))
  .map((point) => String.fromCodePoint(point < FIRST_SURROGATE ? point : point + SURROGATES))
