// Queues between filters, across VMs and workers.

import { Status } from "./abi"
import {
  proxy_dequeue_shared_queue,
  proxy_enqueue_shared_queue,
  proxy_register_shared_queue,
  proxy_resolve_shared_queue,
} from "./env"
import { report } from "./log"
import { clearResult, OUT_DATA, OUT_SIZE, OUT_WORD, takeUint8Array } from "./memory"
import { payload, payloadSize, releasePayload } from "./payload"
import { encodeKey, encodeValue, keySize, releaseKey, releaseValue, takeText, valueSize } from "./text"

/** Those that were listened to, by id; made when it is first needed, so that other filters don't contain it. */
let listening: Map<i32, Queue> | null = null

/**
 * A queue that outlives exchanges and reaches other filters: first in, first out, each item to one receiver.
 *
 * ```ts
 * const audit = new Queue("audit")
 *
 * export function configure(config: Config): void {
 *   audit.listen()
 * }
 *
 * export function onRequest(request: Request): void {
 *   audit.send(request.method + " " + request.path)
 * }
 *
 * export function onQueue(queue: Queue, item: string): void {
 *   log.info(item)
 * }
 * ```
 */
@final
export class Queue {
  private id: i32 = 0

  /** @param vmId the `vm_id` of the filter that listens; "" = this one's. */
  constructor(
    public readonly name: string,
    private readonly vmId: string = "",
  ) {}

  /** Makes the queue if there is none, and brings its items to this filter's `onQueue`. Call it in `configure`. */
  listen(): boolean {
    store<u32>(OUT_WORD, 0)
    const key = encodeKey(this.name)
    const status = proxy_register_shared_queue(key, keySize, OUT_WORD)
    releaseKey(key)
    if (status != Status.OK) {
      report('queue "' + this.name + '"', status)
      return false
    }
    this.id = load<i32>(OUT_WORD)
    let all = listening
    if (all === null) listening = all = new Map<i32, Queue>()
    all.set(this.id, this)
    return true
  }

  /** Appends text or bytes. False if nobody has made the queue yet, or it is full. */
  send<T>(item: T): boolean {
    if (!this.find()) return false
    const data = payload<T>(item)
    const status = proxy_enqueue_shared_queue(this.id, data, payloadSize)
    releasePayload<T>(data)
    if (status == Status.NOT_FOUND) this.id = 0
    return status == Status.OK
  }

  /** Takes the next item as text; null if there is none. `onQueue` takes its item by itself. */
  receive(): string | null {
    return this.find() && take(this.id) ? takeText() : null
  }

  /** Takes the next item as bytes; null if there is none. */
  receiveBytes(): Uint8Array | null {
    return this.find() && take(this.id) ? takeUint8Array() : null
  }

  private find(): boolean {
    if (this.id != 0) return true
    store<u32>(OUT_WORD, 0)
    const key = encodeKey(this.name)
    const vm = encodeValue(this.vmId)
    const status = proxy_resolve_shared_queue(vm, valueSize, key, keySize, OUT_WORD)
    releaseValue(vm)
    releaseKey(key)
    if (status == Status.OK) this.id = load<i32>(OUT_WORD)
    return this.id != 0
  }
}

function take(id: i32): boolean {
  clearResult()
  return proxy_dequeue_shared_queue(id, OUT_DATA, OUT_SIZE) == Status.OK
}

/** The queue a `proxy_on_queue_ready` is about. */
export function readyQueue(id: i32): Queue | null {
  const all = listening
  return all !== null && all.has(id) ? all.get(id) : null
}
