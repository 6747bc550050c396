// Asks a service whose token a request carries, and tells the service behind who it is.
import { Answer, Call, Config, log, Reply, Request } from "sluice/sdk"

let service = ""
let path = "/check"
let timeout = 1000

export function configure(config: Config): void {
  service = config.string("service")
  path = config.string("path", path)
  timeout = <i32>config.duration("timeout", timeout)
}

export function onRequest(request: Request): Reply | null {
  request.headers.remove("x-user") // nobody says so of themselves
  const token = request.headers.get("authorization")
  if (token === null) return new Reply(401, "send a token\n").header("www-authenticate", "Bearer")
  const call = new Call(service, "GET", path).header("authorization", token)
  call.timeout = timeout
  call.send(answered) // the request waits, other requests don't
  return null
}

// Called once, whatever becomes of the call: `status` is 0 when there was no answer in time.
function answered(request: Request, answer: Answer): Reply | null {
  if (answer.status == 0) {
    log.warn("no answer: " + answer.failure)
    return new Reply(503, "try again later\n")
  }
  if (!answer.ok) return new Reply(403, "unknown token\n")
  request.headers.set("x-user", answer.json().string("user", "unknown"))
  return null
}
