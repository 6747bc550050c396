// The exchange that a callback is about.

/** Its stream's id; 0 in callbacks that belong to none. */
export let currentContext: i32 = 0
/** Whether a body follows the headers that `onRequest` or `onResponse` sees. */
export let bodyFollows: boolean = false

// @ts-ignore: decorator
@inline
export function setContext(id: i32): void {
  currentContext = id
}

// @ts-ignore: decorator
@inline
export function setBodyFollows(follows: boolean): void {
  bodyFollows = follows
}
