// Foreign functions that act on the exchange: Envoy's for filter state and routes, and Sluice's choice of a service.

import { readMessage } from "../../http/protobuf.ts"
import { Status } from "../proxy-wasm/enums.ts"
import { propertyPath } from "../proxy-wasm/property-paths.ts"
import { type ForeignFunction, NOTHING } from "./function.ts"

const { NOT_FOUND, BAD_ARGUMENT, INTERNAL_FAILURE } = Status

/** Longest key of filter state, octets, and of a service's name. */
const MAX_NAME = 1024
/** Largest value, octets. */
const MAX_VALUE = 1 << 18
/** Envoy's `WasmType` for text. */
const STRING = 1

/** The route is looked up anew before the request is sent. */
export const clearRouteCache: ForeignFunction = ({ vm }) => {
  vm.stream?.stream.clearRoute()
  return NOTHING
}

/** SetEnvoyFilterStateArguments (path 1, value 2; the span of life 3 is the exchange's, whatever it says) → nothing. */
export const setEnvoyFilterState: ForeignFunction = ({ vm, root, declared }, argument) => {
  const message = readMessage(argument)
  if (message === null) return BAD_ARGUMENT
  const key = message.octets(1).toString("latin1")
  const value = message.octets(2)
  if (key === "" || key.length > MAX_NAME) return BAD_ARGUMENT
  if (vm.stream === null) return NOT_FOUND
  const { stream } = vm.stream
  if (declared.forbids(root, key, stream)) return BAD_ARGUMENT
  return value.length <= MAX_VALUE && stream.setProperty(key, new Uint8Array(value)) ? NOTHING : INTERNAL_FAILURE
}

/** DeclarePropertyArguments (name 1, readonly 2, type 3) → nothing. BAD_ARGUMENT: it is declared already. */
export const declareProperty: ForeignFunction = ({ root, declared }, argument) => {
  const message = readMessage(argument)
  if (message === null) return BAD_ARGUMENT
  const name = message.octets(1).toString("latin1")
  const { key } = propertyPath(name)
  if (key === "" || name.length > MAX_NAME) return BAD_ARGUMENT
  return declared.declare(root, key, { readonly: message.number(2) !== 0, text: message.number(3) === STRING }) ? NOTHING : BAD_ARGUMENT
}

/** A service's name → nothing. BAD_ARGUMENT: there is none of that name, or the request has been sent. */
export const setService: ForeignFunction = ({ vm }, argument) => {
  if (argument.length > MAX_NAME) return BAD_ARGUMENT
  if (vm.stream === null) return NOT_FOUND
  const service = argument.toString("utf8")
  if (vm.grants !== null && !vm.grants.calls(service)) return BAD_ARGUMENT
  return vm.stream.stream.chooseService(service) ? NOTHING : BAD_ARGUMENT
}
