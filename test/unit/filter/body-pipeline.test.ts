import { expect, test } from "vitest"
import type { BodyBuffer } from "../../../gateway/filter/body-buffer.ts"
import { type BodyFilter, BodyPipeline, type PipelineOwner } from "../../../gateway/filter/body-pipeline.ts"
import { type BodyAction, CONTINUE, HOLD } from "../../../gateway/filter/filter.ts"

/** A filter that writes down what it is shown. */
function seeing(shown: string[], act: (body: BodyBuffer, end: boolean) => BodyAction): BodyFilter {
  const onBody = (body: BodyBuffer, end: boolean): BodyAction => {
    shown.push(body.bytes.toString() + (end ? "." : ""))
    return act(body, end)
  }
  return { onRequestBody: onBody, onResponseBody: onBody, onRequestTrailers: () => CONTINUE, onResponseTrailers: () => CONTINUE }
}

class Owner implements PipelineOwner {
  readonly continued = false
  passed = ""
  holds: boolean[] = []
  whenHeld: (hold: boolean) => void = () => {}

  beginCall(): void {}
  endCall(): boolean {
    return false
  }
  onBody(_response: boolean, bytes: Buffer): void {
    this.passed += bytes.toString()
  }
  onBodyEnd(): void {
    this.passed += "."
  }
  onHold(_response: boolean, hold: boolean): void {
    this.holds.push(hold)
    this.whenHeld(hold)
  }
  onOverflow(): void {}
}

function feed(pipeline: BodyPipeline, text: string): void {
  const bytes = Buffer.from(text)
  pipeline.feed(bytes, 0, bytes.length)
  pipeline.flush()
}

test("what a peer sends at once when it is no longer held comes behind what was kept, and is shown once", () => {
  const owner = new Owner()
  const pipeline = new BodyPipeline(owner, true)
  const first: string[] = []
  const second: string[] = []
  const holds = seeing(first, (_, end) => (end ? CONTINUE : HOLD))
  pipeline.add(holds, true, false, 1024)
  pipeline.add(
    seeing(second, () => CONTINUE),
    true,
    false,
    1024,
  )
  owner.whenHeld = (hold) => {
    if (hold) return
    owner.whenHeld = () => {}
    feed(pipeline, "def")
    pipeline.end(null)
  }
  feed(pipeline, "abc")
  expect(owner.holds).toEqual([true])
  pipeline.resume(holds)
  expect(owner.passed).toBe("abcdef.")
  expect(first).toEqual(["abc", "def", "def."])
  expect(second).toEqual(["abc", "def."])
  expect(owner.holds).toEqual([true, false, true, false])
})

test("some of what is kept goes on, without the end, and the peer stays held", () => {
  const owner = new Owner()
  const pipeline = new BodyPipeline(owner, true)
  const shown: string[] = []
  const holds = seeing([], () => HOLD)
  pipeline.add(holds, true, false, 1024)
  pipeline.add(
    seeing(shown, () => CONTINUE),
    true,
    false,
    1024,
  )
  feed(pipeline, "abcdef")
  pipeline.end(null)
  pipeline.passSome(holds, 2)
  pipeline.passSome(holds, 3)
  expect([owner.passed, owner.holds]).toEqual(["abcde", [true]])
  pipeline.resume(holds)
  expect([owner.passed, owner.holds]).toEqual(["abcdef.", [true, false]])
  expect(shown).toEqual(["ab", "cde", "f."])
})

test("some of nothing, of a filter that doesn't wait, or of a pipeline that is over, is nothing", () => {
  const owner = new Owner()
  const pipeline = new BodyPipeline(owner, true)
  const passes = seeing([], () => CONTINUE)
  const holds = seeing([], () => HOLD)
  pipeline.add(passes, true, false, 1024)
  pipeline.add(holds, true, false, 1024)
  pipeline.passSome(holds, 2)
  feed(pipeline, "abc")
  pipeline.passSome(passes, 2)
  expect(owner.passed).toBe("")
  pipeline.passSome(holds, 10)
  expect(owner.passed).toBe("abc")
  feed(pipeline, "def")
  pipeline.cancel()
  pipeline.passSome(holds, 2)
  expect(owner.passed).toBe("abc")
})

test("a cancelled pipeline lets nothing go, and has nobody read on", () => {
  const owner = new Owner()
  const pipeline = new BodyPipeline(owner, false)
  const holds = seeing([], () => HOLD)
  pipeline.add(holds, true, false, 1024)
  feed(pipeline, "a")
  feed(pipeline, "b")
  pipeline.cancel()
  pipeline.resume(holds)
  expect(owner.holds).toEqual([true])
  expect(owner.passed).toBe("")
})
