import { describe, expect, test } from "vitest"
import type { ErrorCode } from "../../../gateway/errors.ts"
import { type ChainOwner, ChainRun } from "../../../gateway/filter/chain.ts"
import {
  CONTINUE,
  type FilterAction,
  type FilterStream,
  type HttpFilter,
  type LocalReply,
  PAUSE,
  type StreamFilter,
  type StreamInfo,
} from "../../../gateway/filter/filter.ts"
import { RequestHead, ResponseHead } from "../../../gateway/http/message.ts"

type Act = (stream: FilterStream, self: StreamFilter) => FilterAction
const go: Act = () => CONTINUE
const wait: Act = () => PAUSE

/** Writes down what happens to it and its fellows, and acts as it is told. */
class Probe implements HttpFilter {
  readonly interests = 0
  readonly bodyLimit = 0
  stream: FilterStream | null = null
  self: StreamFilter | null = null
  readonly name: string
  readonly #events: string[]
  readonly #onRequest: Act
  readonly #onResponse: Act

  constructor(name: string, events: string[], onRequest: Act = go, onResponse: Act = go) {
    this.name = name
    this.#events = events
    this.#onRequest = onRequest
    this.#onResponse = onResponse
  }

  open(stream: FilterStream): StreamFilter {
    this.stream = stream
    const unexpected = (): never => {
      throw new Error("a body callback without interest in bodies")
    }
    const self: StreamFilter = {
      onRequestHeaders: (end) => {
        this.#events.push(`${this.name} request${end ? " end" : ""}`)
        return this.#onRequest(stream, self)
      },
      onRequestBody: unexpected,
      onRequestTrailers: unexpected,
      onResponseHeaders: (end) => {
        this.#events.push(`${this.name} response${end ? " end" : ""}`)
        return this.#onResponse(stream, self)
      },
      onResponseBody: unexpected,
      onResponseTrailers: unexpected,
      onDone: () => this.#events.push(`${this.name} done`),
    }
    this.self = self
    return self
  }

  continueRequest(): void {
    if (this.self !== null) this.stream?.continueRequest(this.self)
  }

  continueResponse(): void {
    if (this.self !== null) this.stream?.continueResponse(this.self)
  }
}

const absent: HttpFilter = { name: "absent", interests: 0, bodyLimit: 0, open: () => null }

class Owner implements ChainOwner {
  readonly #events: string[]

  constructor(events: string[]) {
    this.#events = events
  }
  onRequestFiltered(): void {
    this.#events.push("request filtered")
  }
  onResponseFiltered(): void {
    this.#events.push("response filtered")
  }
  onFilterReply(reply: LocalReply): void {
    this.#events.push(`reply ${reply.status}`)
  }
  onFilterFailed(code: ErrorCode, details: string): void {
    this.#events.push(`failed ${code} ${details}`)
  }
  onFilterReset(): void {
    this.#events.push("reset")
  }
  readonly requestSent = false
  readonly responseSent = false
  onRequestBody(): void {}
  onRequestBodyEnd(): void {}
  onResponseBody(): void {}
  onResponseBodyEnd(): void {}
  onRequestHold(): void {}
  onResponseHold(): void {}
  onBodiesMoved(): void {}
  chooseService(): boolean {
    return false
  }
  clearRoute(): void {}
}

const reply = (status: number): LocalReply => ({ status, body: new Uint8Array(), headers: [], details: "", grpcStatus: -1 })

function chain(events: string[], ...filters: HttpFilter[]): ChainRun {
  return new ChainRun(filters, {} as StreamInfo, new RequestHead(), new Owner(events))
}

describe("a chain", () => {
  test("runs in order on the request and in reverse on the response", () => {
    const events: string[] = []
    const run = chain(events, new Probe("a", events), new Probe("b", events), new Probe("c", events))
    run.runRequest(true)
    run.runResponse(new ResponseHead(), false)
    run.done()
    expect(events).toEqual([
      "a request end",
      "b request end",
      "c request end",
      "request filtered",
      "c response",
      "b response",
      "a response",
      "response filtered",
      "a done",
      "b done",
      "c done",
    ])
  })

  test("passes by a filter that takes no part", () => {
    const events: string[] = []
    const run = chain(events, absent, new Probe("b", events), absent)
    run.runRequest(false)
    run.runResponse(new ResponseHead(), true)
    run.done()
    expect(events).toEqual(["b request", "request filtered", "b response end", "response filtered", "b done"])
  })

  test("shows the response only when there is one", () => {
    const events: string[] = []
    const probe = new Probe("a", events)
    const run = chain(events, probe)
    run.runRequest(true)
    expect(probe.stream?.response).toBeNull()
    const head = new ResponseHead()
    run.runResponse(head, true)
    expect(probe.stream?.response).toBe(head)
  })

  test("tells each filter it reached that it is over, once and last", () => {
    const events: string[] = []
    const run = chain(events, new Probe("a", events), new Probe("b", events, wait), new Probe("c", events))
    run.runRequest(true)
    run.done()
    run.done()
    expect(events).toEqual(["a request end", "b request end", "a done", "b done"])
  })
})

describe("a pause", () => {
  test("holds the request until the filter goes on, and not before", () => {
    const events: string[] = []
    const b = new Probe("b", events, wait)
    const run = chain(events, new Probe("a", events), b, new Probe("c", events))
    run.runRequest(true)
    expect(events).toEqual(["a request end", "b request end"])
    b.continueResponse()
    expect(events).toHaveLength(2)
    b.continueRequest()
    expect(events.slice(2)).toEqual(["c request end", "request filtered"])
    b.continueRequest()
    expect(events).toHaveLength(4)
  })

  test("holds the response until the filter goes on", () => {
    const events: string[] = []
    const b = new Probe("b", events, go, wait)
    const run = chain(events, new Probe("a", events), b, new Probe("c", events))
    run.runRequest(true)
    run.runResponse(new ResponseHead(), true)
    expect(events.slice(4)).toEqual(["c response end", "b response end"])
    b.continueRequest()
    expect(events).toHaveLength(6)
    b.continueResponse()
    expect(events.slice(6)).toEqual(["a response end", "response filtered"])
  })

  test("that is taken back inside the callback is none", () => {
    const events: string[] = []
    const a = new Probe(
      "a",
      events,
      (stream, self) => {
        stream.continueRequest(self)
        return PAUSE
      },
      (stream, self) => {
        stream.continueResponse(self)
        return PAUSE
      },
    )
    const run = chain(events, a)
    run.runRequest(true)
    run.runResponse(new ResponseHead(), true)
    expect(events).toEqual(["a request end", "request filtered", "a response end", "response filtered"])
  })

  test("doesn't outlive the exchange", () => {
    const events: string[] = []
    const a = new Probe("a", events, wait)
    const run = chain(events, a, new Probe("b", events))
    run.runRequest(true)
    run.done()
    a.continueRequest()
    a.stream?.sendLocalReply(reply(200))
    a.stream?.fail("filterTrap", "")
    a.stream?.reset()
    expect(events).toEqual(["a request end", "a done"])
  })

  test("ends with a response from elsewhere, which the filter sees", () => {
    const events: string[] = []
    const a = new Probe("a", events, wait)
    const run = chain(events, a, new Probe("b", events))
    run.runRequest(true)
    // A time-out's reply.
    run.stopRequest()
    run.runResponse(new ResponseHead(), false)
    a.continueRequest()
    expect(events).toEqual(["a request end", "a response", "response filtered"])
  })
})

describe("the response to a local reply", () => {
  test("can fail, and be replaced, like any other", () => {
    for (const act of [
      (stream: FilterStream) => stream.fail("filterTrap", "x"),
      (stream: FilterStream) => stream.sendLocalReply(reply(503)),
    ]) {
      const events: string[] = []
      const a = new Probe("a", events, go, (stream) => {
        act(stream)
        return PAUSE
      })
      const b = new Probe("b", events, (stream) => {
        stream.sendLocalReply(reply(403))
        return PAUSE
      })
      const run = chain(events, a, b)
      run.runRequest(true)
      run.runResponse(new ResponseHead(), true)
      expect(events.slice(0, 3)).toEqual(["a request end", "b request end", "reply 403"])
      expect(events.at(-1)).toMatch(/^(failed filterTrap x|reply 503)$/)
    }
  })
})

describe("what a filter asks for", () => {
  test("takes effect when its callback has returned, whatever it returns", () => {
    for (const action of [CONTINUE, PAUSE] as const) {
      const events: string[] = []
      const a = new Probe("a", events, (stream) => {
        stream.sendLocalReply(reply(403))
        events.push("still in a")
        return action
      })
      chain(events, a, new Probe("b", events)).runRequest(true)
      expect(events).toEqual(["a request end", "still in a", "reply 403"])
    }
  })

  test("takes effect at once when it is paused", () => {
    const events: string[] = []
    const a = new Probe("a", events, wait)
    chain(events, a, new Probe("b", events)).runRequest(true)
    a.stream?.sendLocalReply(reply(401))
    expect(events.slice(1)).toEqual(["reply 401"])
  })

  test("is done once: the first reply or failure wins", () => {
    const events: string[] = []
    const a = new Probe("a", events, (stream) => {
      stream.sendLocalReply(reply(403))
      stream.sendLocalReply(reply(500))
      stream.fail("filterTrap", "late")
      return CONTINUE
    })
    const run = chain(events, a)
    run.runRequest(true)
    a.stream?.sendLocalReply(reply(404))
    expect(events).toEqual(["a request end", "reply 403"])
  })

  test("in the response replaces it, and the filters further out are told by whoever owns the exchange", () => {
    const events: string[] = []
    const b = new Probe("b", events, go, (stream) => {
      stream.sendLocalReply(reply(502))
      return CONTINUE
    })
    const run = chain(events, new Probe("a", events), b)
    run.runRequest(true)
    run.runResponse(new ResponseHead(), true)
    expect(events.slice(3)).toEqual(["b response end", "reply 502"])
  })

  test("may be a failure, with its reason", () => {
    const events: string[] = []
    const a = new Probe("a", events, (stream) => {
      stream.fail("filterBudget", "used up")
      return PAUSE
    })
    chain(events, a).runRequest(true)
    expect(events).toEqual(["a request end", "failed filterBudget used up"])
  })

  test("may be the end of it all, even after a reply", () => {
    const events: string[] = []
    const a = new Probe("a", events, (stream) => {
      stream.sendLocalReply(reply(403))
      stream.reset()
      return CONTINUE
    })
    chain(events, a).runRequest(true)
    expect(events).toEqual(["a request end", "reset"])
  })

  test("a reply passes the filters that were reached, the one that made it included", () => {
    const events: string[] = []
    const b = new Probe("b", events, (stream) => {
      stream.sendLocalReply(reply(403))
      return CONTINUE
    })
    const run = chain(events, new Probe("a", events), b, new Probe("c", events))
    run.runRequest(true)
    run.runResponse(new ResponseHead(), true)
    run.done()
    expect(events).toEqual([
      "a request end",
      "b request end",
      "reply 403",
      "b response end",
      "a response end",
      "response filtered",
      "a done",
      "b done",
    ])
  })
})
