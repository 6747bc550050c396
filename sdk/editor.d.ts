// What AssemblyScript's own declarations leave out, for editors only; the compiler never reads this.

interface Number {
  toString(radix?: number): string
}

declare function __new(size: usize, id: u32): usize
declare function __renew(oldPtr: usize, size: usize): usize
declare function __collect(): void
