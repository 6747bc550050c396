// The module variables of the author's files, so that several configurations of one filter can live in one VM without
// seeing each other's. The build gives these functions their bodies (sdk/build/plugin-variables.ts); no import is left.

/** How many variables hold objects, and how many hold numbers. */
export declare function managedGlobals(): i32
export declare function scalarGlobals(): i32
/** Copies the variables to two areas: four bytes for each object, eight for each number. */
export declare function saveGlobals(managed: usize, scalars: usize): void
/** Copies them back. */
export declare function loadGlobals(managed: usize, scalars: usize): void
/** Runs the top level of the author's files again: the variables get their initial values. */
export declare function startGlobals(): void
