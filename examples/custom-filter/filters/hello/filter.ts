// The smallest useful filter: it greets in a header of every response.
import { Config, Response } from "sluice/sdk"

let greeting = "hello"

export function configure(config: Config): void {
  greeting = config.string("greeting", greeting)
}

export function onResponse(response: Response): void {
  response.headers.set("x-greeting", greeting)
}
