import { describe, expect, test } from "vitest"
import { OverloadGuard } from "../../../gateway/listener/overload-guard.ts"
import { HIGH, LOW, NORMAL, type Priority } from "../../../gateway/resilience/overload.ts"

class Thread {
  now = 0
  readonly memory = new SharedArrayBuffer(4)
  readonly shed: number[] = []
  readonly looks: [level: number, delay: number][] = []
  readonly guard = new OverloadGuard({
    memory: this.memory,
    random: () => 0.5,
    now: () => this.now,
    onShed: (priority) => this.shed.push(priority),
    onLook: (...look) => this.looks.push(look),
  })

  /** Looks that each come `delay` ms late. */
  look(times: number, delay: number): void {
    for (let i = 0; i < times; i++) {
      this.now += 100 + delay
      this.guard.look()
    }
  }

  get sheds(): boolean[] {
    return ([LOW, NORMAL, HIGH] as Priority[]).map((priority) => this.guard.sheds(priority))
  }
}

const on = { eventLoopLag: 250, memory: null }

describe("a worker with too much to do", () => {
  test("refuses by priority, counts what it refused, and says how it stands", () => {
    const thread = new Thread()
    thread.guard.use(on)
    thread.look(4, 1000)
    expect(thread.sheds).toEqual([false, false, false])
    thread.look(3, 1000)
    expect(thread.sheds).toEqual([true, false, false])
    expect(thread.shed).toEqual([LOW])
    thread.look(20, 1000)
    expect(thread.sheds).toEqual([true, true, true])
    expect(thread.looks.at(-1)).toEqual([3, 1000])
  })

  test("refuses nothing when that is off, or once it is turned off", () => {
    const thread = new Thread()
    Atomics.store(new Int32Array(thread.memory), 0, 3000)
    thread.look(20, 1000)
    expect(thread.sheds).toEqual([false, false, false])
    thread.guard.use(on)
    thread.look(20, 1000)
    expect(thread.sheds).toEqual([true, true, true])
    thread.guard.use(null)
    thread.look(1, 0)
    expect([thread.sheds, thread.looks.at(-1)]).toEqual([
      [false, false, false],
      [0, 0],
    ])
  })

  test("goes by what the main thread says of memory", () => {
    const thread = new Thread()
    thread.guard.use({ eventLoopLag: 0, memory: null })
    Atomics.store(new Int32Array(thread.memory), 0, 1600)
    thread.look(1, 5000)
    expect(thread.sheds).toEqual([true, true, false])
  })
})
