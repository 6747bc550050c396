// Reads from the author's syntax tree which callbacks exist and in which form, and writes the Proxy-Wasm exports around them.

import { compiler, type Range, type Source, type Statement } from "./assemblyscript.ts"

export interface GlueProblem {
  readonly message: string
  readonly range: Range
}

export interface Glue {
  readonly text: string
  /** The declaration that each line of `text` (from 0) calls; errors in that line are the declaration's. */
  readonly owners: readonly (Statement | null)[]
  readonly problems: readonly GlueProblem[]
}

interface Form {
  /** What an author should write. */
  readonly usage: string
  readonly maxParameters: number
  readonly mayReply: boolean
}

const FORMS: Readonly<Record<string, Form>> = {
  configure: { usage: "configure(config: Config): void", maxParameters: 1, mayReply: false },
  onRequest: { usage: "onRequest(request: Request): Reply | null", maxParameters: 1, mayReply: true },
  onResponse: { usage: "onResponse(response: Response): void", maxParameters: 1, mayReply: true },
  onLog: { usage: "onLog(request: Request, response: Response): void", maxParameters: 2, mayReply: false },
}

const CLASS_CALLBACKS = ["onRequest", "onResponse", "onLog"]

interface Found {
  readonly functions: Map<string, Statement>
  readonly filterClass: Statement | null
  readonly problems: GlueProblem[]
}

/** @param importPath the author's file as the glue imports it, `./filter`. */
export function generateGlue(source: Source, importPath: string): Glue {
  const found = findCallbacks(source)
  const lines: string[] = []
  const owners: (Statement | null)[] = []
  const emit = (owner: Statement | null, ...texts: string[]): void => {
    for (const text of texts) {
      lines.push(text)
      owners.push(owner)
    }
  }
  const { filterClass, functions } = found
  emit(null, `import * as sdk from "sluice/sdk/runtime"`)
  if (filterClass !== null) emit(null, `import * as streams from "sluice/sdk/streams"`)
  emit(
    null,
    `import * as filter from ${JSON.stringify(importPath)}`,
    "export function proxy_abi_version_0_2_1(): void {}",
    "export function proxy_on_memory_allocate(size: i32): usize { return sdk.allocate(size) }",
    "export function proxy_on_context_create(id: i32, parent: i32): void {",
    "  sdk.createContext(id, parent)",
  )
  if (filterClass !== null) emit(filterClass, `  if (parent != 0) streams.addStream(id, new filter.${filterClass.name.text}())`)
  emit(null, "}", "export function proxy_on_delete(id: i32): void {", "  sdk.deleteContext(id)")
  if (filterClass !== null) emit(null, "  streams.deleteStream(id)")
  emit(null, "}")

  const configure = functions.get("configure")
  if (configure !== undefined) {
    emit(
      null,
      "export function proxy_on_configure(id: i32, size: i32): i32 {",
      "  sdk.enterPlugin(id)",
      "  const config = sdk.pluginConfig()",
    )
    emit(configure, `  filter.configure(${configure.signature.parameters.length > 0 ? "config" : ""})`)
    emit(null, "  const accepted = config.accepted", "  sdk.leave()", "  return accepted ? 1 : 0", "}")
  }
  for (const name of CLASS_CALLBACKS) {
    if (filterClass !== null) {
      const method = (filterClass.members ?? []).find((member) => isMethod(member) && member.name.text === name)
      if (method !== undefined) emitCallback(emit, name, method, "stream.")
    } else {
      const declaration = functions.get(name)
      if (declaration !== undefined) emitCallback(emit, name, declaration, "filter.")
    }
  }
  return { text: lines.join("\n"), owners, problems: found.problems }
}

type Emit = (owner: Statement | null, ...texts: string[]) => void

function emitCallback(emit: Emit, name: string, declaration: Statement, receiver: string): void {
  const replies = name !== "onLog" && returnName(declaration) !== "void"
  const subjects = name === "onResponse" ? ["sdk.response"] : ["sdk.request", "sdk.response"]
  const call = `${receiver}${name}(${subjects.slice(0, declaration.signature.parameters.length).join(", ")})`
  if (name === "onLog") emit(null, "export function proxy_on_log(id: i32): void {")
  else if (name === "onRequest") emit(null, "export function proxy_on_request_headers(id: i32, count: i32, end: i32): i32 {")
  else emit(null, "export function proxy_on_response_headers(id: i32, count: i32, end: i32): i32 {")
  emit(null, "  sdk.enter(id)")
  if (receiver === "stream.")
    emit(null, "  const stream = streams.stream(id)", `  if (stream === null) return${name === "onLog" ? "" : " 0"}`)
  if (replies) emit(declaration, `  const action = sdk.answer(${call})`)
  else emit(declaration, `  ${call}`)
  emit(null, "  sdk.leave()")
  if (name !== "onLog") emit(null, replies ? "  return action" : "  return 0")
  emit(null, "}")
}

function isMethod(member: Statement): boolean {
  return member.kind === compiler.NodeKind.MethodDeclaration && (member.flags & compiler.CommonFlags.Static) === 0
}

function returnName(declaration: Statement): string {
  return declaration.signature.returnType.name?.identifier.text || "void"
}

function findCallbacks(source: Source): Found {
  const { NodeKind, CommonFlags } = compiler
  const problems: GlueProblem[] = []
  const functions = new Map<string, Statement>()
  const declared = new Map<string, Statement>()
  const classes: Statement[] = []
  const exported = (name: string, declaration: Statement | undefined, range: Range): void => {
    if (declaration?.kind === NodeKind.FunctionDeclaration) {
      if (checkFunction(name, declaration, problems)) functions.set(name, declaration)
    } else if (declaration?.kind === NodeKind.ClassDeclaration) {
      if (declaration.extendsType?.name?.identifier.text === "HttpFilter") classes.push(declaration)
    } else if (name in FORMS) {
      problems.push({ message: `${name} must be a function declared in this file: export function ${FORMS[name].usage}`, range })
    }
  }
  for (const statement of source.statements) {
    if (statement.kind === NodeKind.FunctionDeclaration || statement.kind === NodeKind.ClassDeclaration) {
      declared.set(statement.name.text, statement)
      if ((statement.flags & CommonFlags.Export) !== 0) exported(statement.name.text, statement, statement.name.range)
    } else if (statement.kind === NodeKind.Variable) {
      for (const variable of statement.declarations ?? []) {
        if ((variable.flags & CommonFlags.Export) !== 0) exported(variable.name.text, undefined, variable.name.range)
      }
    }
  }
  for (const statement of source.statements) {
    if (statement.kind !== NodeKind.Export) continue
    for (const member of statement.members ?? []) {
      const name = member.exportedName.text
      if (name !== member.localName.text && name in FORMS) {
        problems.push({ message: `${name} can't be exported under another name: declare it as ${name}`, range: member.exportedName.range })
      } else {
        exported(name, statement.path === null ? declared.get(name) : undefined, member.exportedName.range)
      }
    }
  }
  for (const extra of classes.slice(1)) {
    problems.push({ message: `a filter has one HttpFilter class, and ${classes[0].name.text} is one already`, range: extra.name.range })
  }
  if (classes.length > 0) {
    for (const name of CLASS_CALLBACKS) {
      const declaration = functions.get(name)
      if (declaration !== undefined) {
        problems.push({
          message: `${name} is a function here, but ${classes[0].name.text} is an HttpFilter class: use one of the two forms`,
          range: declaration.name.range,
        })
      }
    }
  } else if (functions.size === 0 && problems.length === 0) {
    const message = `a filter exports at least one of ${Object.keys(FORMS).join(", ")}, or a class that extends HttpFilter`
    problems.push({ message, range: { start: 0, end: 0, source } })
  }
  return { functions, filterClass: classes[0] ?? null, problems }
}

function checkFunction(name: string, declaration: Statement, problems: GlueProblem[]): boolean {
  const form = Object.hasOwn(FORMS, name) ? FORMS[name] : undefined
  if (form === undefined) {
    if (/^on[A-Z]/.test(name)) {
      const known = Object.keys(FORMS).filter((other) => other !== "configure")
      const near = known.find((other) => other.toLowerCase() === name.toLowerCase())
      const hint = near === undefined ? `there are ${known.join(", ")}` : `did you mean ${near}?`
      problems.push({ message: `${name} is not a callback of a filter: ${hint}`, range: declaration.name.range })
    }
    if (name.startsWith("proxy_")) {
      problems.push({ message: `${name} is made by the build: export ${known(name)} instead`, range: declaration.name.range })
    }
    return false
  }
  const { parameters, returnType } = declaration.signature
  if (declaration.typeParameters !== null && declaration.typeParameters.length > 0) {
    problems.push({ message: `${name} can't be generic: export function ${form.usage}`, range: declaration.name.range })
    return false
  }
  if (parameters.length > form.maxParameters) {
    problems.push({ message: `${name} takes fewer parameters: export function ${form.usage}`, range: parameters[form.maxParameters].range })
    return false
  }
  const returns = returnName(declaration)
  if (returns !== "void" && !(form.mayReply && returns === "Reply")) {
    problems.push({ message: `${name} can't return ${returns}: export function ${form.usage}`, range: returnType.range })
    return false
  }
  return true
}

function known(name: string): string {
  if (name === "proxy_on_configure") return "configure"
  if (name.includes("response")) return "onResponse"
  return name.includes("log") ? "onLog" : "onRequest"
}
