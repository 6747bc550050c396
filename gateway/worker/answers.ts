// A worker's answers to what the main thread asks it now and then. They look at what is there and change nothing.

import { writeProfile } from "../runtime/profile.ts"
import type { Answer, OpenConnections, Question } from "../worker-questions.ts"
import type { Bound } from "./bound-listener.ts"

/** `now`: ms of the wheel's clock. */
export async function answerQuestion(question: Question, bound: Iterable<Bound>, now: number): Promise<Answer> {
  try {
    if (question.what === "connections") return { what: "connections", open: openConnections(bound, question.limit, now) }
    await writeProfile(question.profile, question.seconds, question.file)
    return { what: "profile" }
  } catch (error) {
    return { what: "failed", why: error instanceof Error ? error.message : String(error) }
  }
}

function openConnections(bound: Iterable<Bound>, limit: number, now: number): OpenConnections {
  const connections: OpenConnections["connections"][number][] = []
  let total = 0
  for (const { listener } of bound) {
    const { count, sights } = listener.sights(limit)
    total += count
    for (const { began, ...sight } of sights)
      connections.push({ listener: listener.name, ...sight, age: Math.max(0, Math.round(now - began)) })
  }
  connections.sort((a, b) => b.age - a.age)
  return { total, connections: connections.slice(0, limit) }
}
