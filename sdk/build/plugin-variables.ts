// Gives the five functions that sdk/assembly/plugin-variables.ts declares their bodies: save, restore and re-initialise the module
// variables of the author's files. So two configurations of one filter in one VM have variables of their own, though the
// author writes plain `let`.

import { type Binaryen, binaryen, type Expression, type Program, type Type, type WasmModule } from "./assemblyscript.ts"

interface Variable {
  readonly name: string
  readonly type: Type
}

/** Module name of the declarations: their file, sdk/assembly/plugin-variables.ts. */
const INTRINSICS = "plugin-variables"
const MANAGED_SIZE = 4
const SCALAR_SIZE = 8

/**
 * @param files internal paths of the author's files; the first is the filter itself.
 * @returns names of variables that can't be kept apart because of their type.
 */
export function definePluginVariables(module: WasmModule, program: Program, files: readonly string[]): string[] {
  const unsupported: string[] = []
  const managed: Variable[] = []
  const scalars: Variable[] = []
  for (let i = 0; i < module.getNumGlobals(); i++) {
    const info = binaryen.getGlobalInfo(module.getGlobalByIndex(i))
    if (!info.mutable || info.module !== "" || !files.some((file) => info.name.startsWith(`${file}/`))) continue
    if (typed(module, binaryen, info.type) === null) {
      unsupported.push(info.name)
      continue
    }
    const isManaged = program.elementsByName.get(info.name)?.type?.isManaged ?? false
    ;(isManaged ? managed : scalars).push({ name: info.name, type: info.type })
  }
  const areas = binaryen.createType([binaryen.i32, binaryen.i32])
  const save: Expression[] = []
  const load: Expression[] = []
  const each = (variables: Variable[], parameter: number, size: number): void => {
    variables.forEach((variable, index) => {
      const instructions = typed(module, binaryen, variable.type)
      if (instructions === null) return
      const align = variable.type === binaryen.i32 || variable.type === binaryen.f32 ? 4 : 8
      const area = (): Expression => module.local.get(parameter, binaryen.i32)
      save.push(instructions.store(index * size, align, area(), module.global.get(variable.name, variable.type)))
      load.push(module.global.set(variable.name, instructions.load(index * size, align, area())))
    })
  }
  each(managed, 0, MANAGED_SIZE)
  each(scalars, 1, SCALAR_SIZE)
  const start = `start:${files[0]}`
  define(module, "managedGlobals", binaryen.none, binaryen.i32, module.i32.const(managed.length))
  define(module, "scalarGlobals", binaryen.none, binaryen.i32, module.i32.const(scalars.length))
  define(module, "saveGlobals", areas, binaryen.none, module.block(null, save))
  define(module, "loadGlobals", areas, binaryen.none, module.block(null, load))
  const restart = module.getFunction(start) === 0 ? module.nop() : module.call(start, [], binaryen.none)
  define(module, "startGlobals", binaryen.none, binaryen.none, restart)
  return unsupported
}

function typed(module: WasmModule, types: Binaryen, type: Type): WasmModule["i32"] | null {
  if (type === types.i32) return module.i32
  if (type === types.i64) return module.i64
  if (type === types.f32) return module.f32
  return type === types.f64 ? module.f64 : null
}

/** Replaces the import of that name, if the program uses it. */
function define(module: WasmModule, base: string, parameters: Type, results: Type, body: Expression): void {
  for (let i = 0; i < module.getNumFunctions(); i++) {
    const info = binaryen.getFunctionInfo(module.getFunctionByIndex(i))
    if (info.module !== INTRINSICS || info.base !== base) continue
    module.removeFunction(info.name)
    module.addFunction(info.name, parameters, results, [], body)
    return
  }
}
