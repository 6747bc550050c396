// A key set that a service publishes: fetched when the filter starts and then every so often, in between when a token names a key
// that isn't known, and kept when the service can't be reached.
import { Answer, Call, Config, every, log, now } from "sluice/sdk"
import { Key, readKeySet } from "./keys"

/** ms between two fetches for keys nobody knows: tokens with made-up names must not keep the service busy. */
const COOLDOWN: i64 = 10_000
/** ms after a failure until the next attempt. */
const RETRY: i64 = 5_000
/** Exchanges that may ask between two answers; others do without. */
const MAX_ASKING = 16
/** Longest key set, characters. */
const MAX_TEXT = 256 * 1024

export class RemoteKeys {
  keys: Key[] = []
  /** ms since 1970; 0 = never. */
  private loadedAt: i64 = 0
  private askedAt: i64 = 0
  private failed: bool = false
  private asking: i32 = 0

  private service: string
  private path: string
  private host: string
  private timeout: i32
  private refresh: i64
  private stale: i64

  constructor(config: Config) {
    config.allowOnly(["service", "path", "host", "timeout", "refresh", "stale"])
    this.service = config.string("service")
    this.path = config.string("path", "/.well-known/jwks.json")
    this.host = config.string("host", "")
    this.timeout = <i32>config.duration("timeout", 5_000)
    this.refresh = config.duration("refresh", 600_000)
    this.stale = config.duration("stale", 86_400_000)
    if (this.refresh < 1000) config.fail('"' + config.path("refresh") + '" must be 1s or more')
    if (this.timeout < 1 || this.timeout > 60_000) config.fail('"' + config.path("timeout") + '" must be between 1ms and 60s')
    if (!this.path.startsWith("/")) config.fail('"' + config.path("path") + '" must begin with "/"')
  }

  /** Whether its keys may be used. */
  get ready(): bool {
    return this.loadedAt > 0 && now() - this.loadedAt <= this.stale
  }

  /** A request for the key set. */
  call(): Call {
    this.askedAt = now()
    const call = new Call(this.service, "GET", this.path).header("accept", "application/json")
    if (this.host.length > 0) call.authority = this.host
    call.timeout = this.timeout
    return call
  }

  /** The request an exchange may wait for; null if it is no time to ask. */
  callNow(): Call | null {
    const since = now() - this.askedAt
    if (this.asking >= MAX_ASKING || since < (this.failed ? RETRY : this.ready ? COOLDOWN : 0)) return null
    this.asking++
    return this.call()
  }

  /** What came of a call. */
  load(answer: Answer): void {
    this.asking = 0 // an exchange that was given up has no answer, so these are not counted down
    const text = answer.ok ? answer.text() : ""
    const keys = text.length <= MAX_TEXT ? readKeySet(text) : null
    this.failed = keys === null
    if (keys !== null) {
      this.keys = keys
      this.loadedAt = now()
    } else {
      const what = answer.failure.length > 0 ? answer.failure : answer.ok ? "no usable key in its answer" : "status " + answer.status.toString()
      log.warn('keys of service "' + this.service + '" could not be loaded: ' + what)
    }
    every(keys !== null ? this.refresh : min(RETRY, this.refresh))
  }
}
