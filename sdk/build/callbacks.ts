// Finds the callbacks of a filter in its author's syntax tree, and says what is wrong with those that aren't ones.

import { compiler, type Range, type Source, type Statement } from "./assemblyscript.ts"

export interface GlueProblem {
  readonly message: string
  readonly range: Range
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
  onRequestBody: { usage: "onRequestBody(request: Request, body: Body): Reply | null", maxParameters: 2, mayReply: true },
  onRequestChunk: { usage: "onRequestChunk(request: Request, body: Body, end: bool): Reply | null", maxParameters: 3, mayReply: true },
  onRequestTrailers: { usage: "onRequestTrailers(request: Request, trailers: Headers): void", maxParameters: 2, mayReply: false },
  onResponse: { usage: "onResponse(response: Response): void", maxParameters: 1, mayReply: true },
  onResponseBody: { usage: "onResponseBody(response: Response, body: Body): Reply | null", maxParameters: 2, mayReply: true },
  onResponseChunk: { usage: "onResponseChunk(response: Response, body: Body, end: bool): Reply | null", maxParameters: 3, mayReply: true },
  onResponseTrailers: { usage: "onResponseTrailers(response: Response, trailers: Headers): void", maxParameters: 2, mayReply: false },
  onTick: { usage: "onTick(): void", maxParameters: 0, mayReply: false },
  onQueue: { usage: "onQueue(queue: Queue, item: string): void", maxParameters: 2, mayReply: false },
  onLog: { usage: "onLog(request: Request, response: Response): void", maxParameters: 2, mayReply: false },
}

/** Those that belong to a message: methods in the class form. */
export const MESSAGE_CALLBACKS = [
  "onRequest",
  "onRequestBody",
  "onRequestChunk",
  "onRequestTrailers",
  "onResponse",
  "onResponseBody",
  "onResponseChunk",
  "onResponseTrailers",
  "onLog",
] as const

export type MessageCallback = (typeof MESSAGE_CALLBACKS)[number]

const PAIRS: readonly (readonly [MessageCallback, MessageCallback])[] = [
  ["onRequestBody", "onRequestChunk"],
  ["onResponseBody", "onResponseChunk"],
]

export interface Found {
  /** The exported callbacks in function form, by name. */
  readonly functions: ReadonlyMap<string, Statement>
  readonly filterClass: Statement | null
  readonly problems: readonly GlueProblem[]
}

export function findCallbacks(source: Source): Found {
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
    } else if (Object.hasOwn(FORMS, name)) {
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
      if (name !== member.localName.text && Object.hasOwn(FORMS, name)) {
        problems.push({ message: `${name} can't be exported under another name: declare it as ${name}`, range: member.exportedName.range })
      } else {
        exported(name, statement.path === null ? declared.get(name) : undefined, member.exportedName.range)
      }
    }
  }
  checkForms(source, functions, classes, problems)
  return { functions, filterClass: classes[0] ?? null, problems }
}

/** The method of the filter's class that overrides a callback. */
export function findMethod(filterClass: Statement, name: string): Statement | undefined {
  const { NodeKind, CommonFlags } = compiler
  return (filterClass.members ?? []).find(
    (member) => member.kind === NodeKind.MethodDeclaration && (member.flags & CommonFlags.Static) === 0 && member.name.text === name,
  )
}

export function returnName(declaration: Statement): string {
  return declaration.signature.returnType.name?.identifier.text || "void"
}

function checkForms(
  source: Source,
  functions: ReadonlyMap<string, Statement>,
  classes: readonly Statement[],
  problems: GlueProblem[],
): void {
  for (const extra of classes.slice(1)) {
    problems.push({ message: `a filter has one HttpFilter class, and ${classes[0].name.text} is one already`, range: extra.name.range })
  }
  if (classes.length > 0) {
    for (const name of MESSAGE_CALLBACKS) {
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
  for (const [whole, piece] of PAIRS) {
    const find = (name: string): Statement | undefined => (classes.length > 0 ? findMethod(classes[0], name) : functions.get(name))
    const second = find(piece)
    if (find(whole) !== undefined && second !== undefined) {
      problems.push({ message: `a filter sees a body whole (${whole}) or in pieces (${piece}), not both`, range: second.name.range })
    }
  }
}

function checkFunction(name: string, declaration: Statement, problems: GlueProblem[]): boolean {
  const form = Object.hasOwn(FORMS, name) ? FORMS[name] : undefined
  if (form === undefined) {
    if (/^on[A-Z]/.test(name)) {
      const known = Object.keys(FORMS).filter((other) => other !== "configure")
      const near = known.filter((other) => distance(other.toLowerCase(), name.toLowerCase()) <= 2 || other.endsWith(name.slice(2)))
      const hint = near.length === 0 ? `there are ${known.join(", ")}` : `did you mean ${near.join(" or ")}?`
      problems.push({ message: `${name} is not a callback of a filter: ${hint}`, range: declaration.name.range })
    }
    if (name.startsWith("proxy_")) {
      problems.push({ message: `${name} is made by the build: export ${instead(name)} instead`, range: declaration.name.range })
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

const INSTEAD: readonly (readonly [string, string])[] = [
  ["configure", "configure"],
  ["http_call", "a callback of Call.send"],
  ["grpc", "a callback of GrpcCall.send"],
  ["tick", "onTick"],
  ["queue", "onQueue"],
  ["log", "onLog"],
  ["request_body", "onRequestBody"],
  ["request_trailers", "onRequestTrailers"],
  ["response_body", "onResponseBody"],
  ["response_trailers", "onResponseTrailers"],
  ["response", "onResponse"],
]

function instead(name: string): string {
  return INSTEAD.find(([part]) => name.includes(part))?.[1] ?? "onRequest"
}

/** Letters to insert, remove or replace to get from one name to the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1]
    for (let k = 0; k < to.length; k++) {
      next.push(Math.min(row[k + 1] + 1, next[k] + 1, row[k] + (from[i] === to[k] ? 0 : 1)))
    }
    row = next
  }
  return row[to.length]
}
