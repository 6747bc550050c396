// Header blocks that are COMPRESSION_ERRORs, by the rule they break. Blocks before the last one are good.

export interface Refused {
  readonly rule: string
  /** In hexadecimal, spaces where they help. */
  readonly blocks: readonly string[]
  /** 4096 if not given. */
  readonly tableSize?: number
  /** Acknowledged by the peer after the good blocks. */
  readonly newTableSizes?: readonly number[]
}

const custom = "4001 61 01 62"

/** RFC 7541: §2.3.3 and §6.1 indexes. */
const indexes: readonly Refused[] = [
  { rule: "index 0", blocks: ["80"] },
  { rule: "index 0 after a field", blocks: ["82 80"] },
  { rule: "index 62 of an empty table", blocks: ["be"] },
  { rule: "index 63 with one entry", blocks: [custom, "bf"] },
  { rule: "index 126 of an empty table", blocks: ["fe"] },
  { rule: "index 127, spelled with a continuation", blocks: ["ff00"] },
  { rule: "an index of two octets beyond the table", blocks: ["ff ff 01"] },
  { rule: "an index after its entry was evicted by size 0", blocks: [custom, "20 be"] },
  { rule: "an index after its entry was driven out by a larger one", blocks: [custom, "4001 61 01 63 be bf"], tableSize: 40 },
  { rule: "an index after a field larger than the table emptied it", blocks: [custom, "4001 61 06 626262626262 be"], tableSize: 37 },
  { rule: "a literal's name index beyond the table, with indexing", blocks: ["7e 01 61"] },
  { rule: "a literal's name index beyond the table, without indexing", blocks: ["0f 2f 01 61"] },
  { rule: "a literal's name index beyond the table, never indexed", blocks: ["1f 2f 01 61"] },
  { rule: "an entry that was not indexed", blocks: ["0001 61 01 62", "be"] },
  { rule: "an entry that was never indexed", blocks: ["1001 61 01 62", "be"] },
]

/** §5.1 integers. */
const integers: readonly Refused[] = [
  { rule: "an index cut short", blocks: ["ff"] },
  { rule: "an index cut short after a continuation", blocks: ["ff 80"] },
  { rule: "an index of 2^28 + 1", blocks: ["ff 82ffff7f"] },
  { rule: "an index with six continuations", blocks: ["ff 80 80 80 80 80 00"] },
  { rule: "an index that would be 2 in 32 bits", blocks: ["ff 83 ff ff ff 0f"] },
  { rule: "an index that would be 2 in 53 bits", blocks: ["ff 83 ff ff ff ff ff ff 0f"] },
  { rule: "an index without end", blocks: [`ff ${"80".repeat(200)}`] },
  { rule: "a name's length with six continuations", blocks: ["00 7f 80 80 80 80 80 00"] },
  { rule: "a value's length above 2^28", blocks: ["00 01 61 7f 82ffff7f"] },
  { rule: "a value's length that wraps to a small one", blocks: ["00 01 61 7f 82 ff ff ff 0f 62"] },
  { rule: "a literal's name index cut short", blocks: ["7f"] },
  { rule: "a literal's name index with six continuations", blocks: ["0f 80 80 80 80 80 00 01 61"] },
]

/** §5.2 strings. */
const strings: readonly Refused[] = [
  { rule: "a literal without a name", blocks: ["40"] },
  { rule: "a literal without a value", blocks: ["4001 61"] },
  { rule: "an indexed name without a value", blocks: ["44"] },
  { rule: "a name longer than the block", blocks: ["4003 6161"] },
  { rule: "a value longer than the block", blocks: ["4001 61 02 62"] },
  { rule: "a Huffman value longer than the block", blocks: ["4001 61 8d f1e3c2e5"] },
  { rule: "a value's length cut short", blocks: ["4001 61 7f"] },
  { rule: "a value's length cut short after a continuation", blocks: ["4001 61 7f 80"] },
  { rule: "EOS alone", blocks: ["4001 61 84 ffffffff"] },
  { rule: "EOS after an octet", blocks: ["4001 61 85 1fffffffff"] },
  { rule: "EOS in a name", blocks: ["4084 ffffffff 01 62"] },
  { rule: "EOS in the middle", blocks: ["4001 61 85 fffffffc1f"] },
  { rule: "padding of eight ones", blocks: ["4001 61 82 1fff"] },
  { rule: "padding of eight ones and nothing else", blocks: ["4001 61 81 ff"] },
  { rule: "padding of noughts", blocks: ["4001 61 81 18"] },
  { rule: "padding with a nought at its end", blocks: ["4001 61 81 1e"] },
  { rule: "padding with a nought at its beginning", blocks: ["4001 61 81 1b"] },
  { rule: "padding longer than an octet", blocks: ["4001 61 83 1fffff"] },
  { rule: "a code cut short", blocks: ["4001 61 82 fffe"] },
  { rule: "bad padding in a name without indexing", blocks: ["0081 18 01 62"] },
  { rule: "bad padding in a value never indexed", blocks: ["1001 61 81 18"] },
]

/** §4.2, §6.3 table sizes. */
const sizes: readonly Refused[] = [
  { rule: "a size update after a field", blocks: ["82 20"] },
  { rule: "a size update between fields", blocks: ["82 3f e1 1f 82"] },
  { rule: "a size update after a literal", blocks: ["4001 61 01 62 20"] },
  { rule: "a size above the setting", blocks: ["3f e2 1f"] },
  { rule: "a size above a small setting", blocks: ["3f 00"], tableSize: 30 },
  { rule: "a second size above the setting", blocks: ["20 3f e2 1f"] },
  { rule: "a size above 2^28", blocks: ["3f e2ffff7f"] },
  { rule: "a size that wraps to a small one", blocks: ["3f e1 ff ff ff 0f"] },
  { rule: "a size with six continuations", blocks: ["3f 80 80 80 80 80 00"] },
  { rule: "a size cut short", blocks: ["3f"] },
  { rule: "a size cut short after a continuation", blocks: ["3f 80"] },
  { rule: "no size update after the setting went down", blocks: ["82", "82"], newTableSizes: [100] },
  { rule: "no size update after the setting went down, in an empty block", blocks: ["82", ""], newTableSizes: [100] },
  { rule: "a size update above the lowered setting", blocks: ["82", "3f 46 82"], newTableSizes: [100] },
  { rule: "no size update to the lowest setting in between", blocks: ["82", "3f e1 1f"], newTableSizes: [100, 4096] },
  { rule: "a size update above the raised setting", blocks: ["82", "3f e2 3f"], newTableSizes: [8192] },
]

export const refused: readonly Refused[] = [...indexes, ...integers, ...strings, ...sizes]
