// @ts-check
// How the page talks to the gateway that serves it: its own origin only, with the operator's token where one is asked for. An
// order carries the field that no other site can send.

const TOKEN = "sluice-admin-token"
/** ms until a question is given up. One that hangs must not leave figures standing that look like now. */
const PATIENCE = 5000

/** What the gateway refused or could not do; `status` 0: it could not be reached. */
export class Refused extends Error {
  /**
   * @param {string} message
   * @param {number} status
   */
  constructor(message, status) {
    super(message)
    this.status = status
  }
}

/** @type {(refused: boolean) => Promise<string | null>} */
let askForToken = () => Promise.resolve(null)
/** @type {Promise<string | null> | null} */
let asking = null
/** The operator has none: nobody is asked again until they want to be. */
let declined = false

/**
 * @param {(refused: boolean) => Promise<string | null>} ask null: the operator has none; `refused`: the one before was not right
 */
export function onTokenWanted(ask) {
  askForToken = ask
}

/**
 * @param {string} path
 * @param {{ method?: string, body?: BodyInit, type?: string, signal?: AbortSignal, patience?: number }} [request] `patience`: ms until
 *   it is given up, without the time somebody takes to find the token; default: as long as it takes
 * @returns {Promise<Response>}
 */
export async function call(path, { method = "GET", body, type, signal, patience } = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN)
    /** @type {Record<string, string>} */
    const headers = { accept: "application/json" }
    if (method !== "GET") headers["x-sluice-admin"] = "dashboard"
    if (token !== null) headers.authorization = `Bearer ${token}`
    if (type !== undefined) headers["content-type"] = type
    let response
    try {
      const limit = patience === undefined ? signal : AbortSignal.timeout(patience)
      response = await fetch(path, {
        method,
        headers,
        body,
        signal: limit,
        cache: "no-store",
        redirect: "error",
        credentials: "same-origin",
      })
    } catch (error) {
      if (signal?.aborted) throw error
      throw new Refused("the gateway doesn't answer", 0)
    }
    if (response.status !== 401) return response
    // Another call has been given a new one meanwhile.
    if (token !== sessionStorage.getItem(TOKEN)) continue
    if (declined) throw new Refused("this needs a token", 401)
    // All that wait for a token share one question.
    asking ??= askForToken(token !== null).finally(() => {
      asking = null
    })
    const given = await asking
    declined = given === null
    if (given === null) throw new Refused("this needs a token", 401)
    sessionStorage.setItem(TOKEN, given)
  }
}

/** The operator wants to be asked for a token again. */
export function askAgain() {
  declined = false
}

/**
 * What a path answers; null where there is no such thing (404). A readiness that isn't is an answer too.
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function ask(path) {
  const response = await call(path, { patience: PATIENCE })
  if (response.status === 404) return null
  if (!response.ok && !(path === "/ready" && response.status === 503)) throw await refusal(response)
  try {
    return await response.json()
  } catch {
    throw new Refused("the gateway's answer broke off", 0)
  }
}

/**
 * @param {string} path
 * @param {{ method?: string, body?: BodyInit, type?: string }} [request]
 * @returns {Promise<any>} what became of it
 */
export async function order(path, { method = "POST", body, type } = {}) {
  const response = await call(path, { method, body, type })
  if (!response.ok) throw await refusal(response)
  return response.json().catch(() => ({}))
}

/**
 * @param {Response} response
 * @returns {Promise<Refused>}
 */
async function refusal(response) {
  const text = await response.text().catch(() => "")
  let why = text.slice(0, 500)
  try {
    const { error } = JSON.parse(text)
    if (typeof error === "string") why = error
  } catch {
    // Not ours.
  }
  return new Refused(why === "" ? `refused with status ${response.status}` : why, response.status)
}

/**
 * Reads a stream of JSON lines to its end.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(event: any) => void} take
 */
export async function follow(path, signal, take) {
  const response = await call(path, { signal })
  if (!response.ok || response.body === null) throw await refusal(response)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const lines = (rest + value).split("\n")
    rest = lines.pop() ?? ""
    if (rest.length > 1_000_000) throw new Refused("a line of the stream has no end", 0)
    for (const line of lines) {
      if (line.trim() === "") continue
      let event
      try {
        event = JSON.parse(line)
      } catch {
        continue
      }
      take(event)
    }
  }
}

/**
 * A name as part of a path; names may hold slashes.
 * @param {string} name
 */
export function part(name) {
  return name.split("/").map(encodeURIComponent).join("/")
}
