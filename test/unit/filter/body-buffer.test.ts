import fc from "fast-check"
import { expect, test } from "vitest"
import { BodyBuffer } from "../../../gateway/filter/body-buffer.ts"

const bytes = fc.uint8Array({ maxLength: 40 })
const step = fc.oneof(
  fc.record({ kind: fc.constant("append" as const), data: bytes, before: fc.nat(5), after: fc.nat(5) }),
  fc.record({ kind: fc.constant("splice" as const), start: fc.nat(80), count: fc.nat(80), data: bytes }),
  fc.record({ kind: fc.constant("own" as const) }),
  fc.record({ kind: fc.constant("take" as const), data: bytes }),
  fc.record({ kind: fc.constant("clear" as const) }),
)

test("holds what a plain array would, whatever is done to it, and never writes to what it borrowed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const body = new BodyBuffer()
      let model: number[] = []
      const lent: [Buffer, Buffer][] = []
      for (const each of steps) {
        if (each.kind === "append") {
          const buffer = Buffer.concat([Buffer.alloc(each.before, 1), each.data, Buffer.alloc(each.after, 2)])
          lent.push([buffer, Buffer.from(buffer)])
          body.append(buffer, each.before, each.before + each.data.length)
          model.push(...each.data)
        } else if (each.kind === "splice") {
          body.splice(each.start, each.count, each.data)
          model.splice(Math.min(each.start, model.length), each.count, ...each.data)
        } else if (each.kind === "take") {
          const other = new BodyBuffer()
          const buffer = Buffer.from(each.data)
          lent.push([buffer, Buffer.from(buffer)])
          other.append(buffer, 0, buffer.length)
          body.take(other)
          expect(other.length).toBe(0)
          model.push(...each.data)
        } else if (each.kind === "own") {
          body.own()
          // From now on the lenders may do as they like.
          for (const pair of lent.splice(0)) {
            expect(pair[0]).toEqual(pair[1])
            pair[0].fill(0xee)
          }
        } else {
          body.clear()
          model = []
        }
        expect(body.length).toBe(model.length)
        expect([...body.bytes]).toEqual(model)
      }
      for (const [buffer, before] of lent) expect(buffer).toEqual(before)
    }),
    { numRuns: 500 },
  )
})
