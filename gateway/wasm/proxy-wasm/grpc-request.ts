// What a guest gives for a gRPC call, checked: the service, the method, the metadata. Nothing of it can change the head that
// carries it.

import type { Buffer } from "node:buffer"
import { isFieldValue } from "../../http/fields.ts"
import { readMessage } from "../../http/protobuf.ts"
import { FIELD, headerName } from "./header-names.ts"

/** Longest value of a field. */
const MAX_VALUE = 65_536
/** Octets of all metadata of a call. */
const MAX_METADATA = 65_536

// Names as protobuf has them; servers without it have used others.
const SERVICE = /^[\w.$~-]{1,512}$/
const METHOD = /^[\w.$~-]{1,256}$/

/** GrpcService of Envoy's API: `envoy_grpc`, and `cluster_name` in it. */
const ENVOY_GRPC = 1
const CLUSTER_NAME = 1

/** Fields of the protocol itself. */
const OWN = new Set(["content-type", "te", "user-agent"])

/** The cluster in a serialized GrpcService; "" when it is none, or names none. */
export function clusterOf(bytes: Buffer): string {
  const envoyGrpc = readMessage(bytes)?.octets(ENVOY_GRPC)
  return envoyGrpc === undefined ? "" : (readMessage(envoyGrpc)?.text(CLUSTER_NAME) ?? "")
}

/** The path of a method; "" when a name can't be one. */
export function methodPath(service: string, method: string): string {
  return SERVICE.test(service) && METHOD.test(method) ? `/${service}/${method}` : ""
}

/** The metadata of a call out of the pairs a guest gave; null when something can't be sent. */
export function callMetadata(flat: readonly string[]): readonly string[] | null {
  const metadata: string[] = []
  let octets = 0
  for (let i = 0; i < flat.length; i += 2) {
    const name = headerName(flat[i])
    const value = flat[i + 1]
    octets += flat[i].length + value.length
    if (name === null || octets > MAX_METADATA || value.length > MAX_VALUE || !isFieldValue(value)) return null
    if (name.name.startsWith(":")) return null
    // The rest is the codec's, or gRPC's.
    if (name.kind === FIELD && !OWN.has(name.name) && !name.name.startsWith("grpc-")) metadata.push(name.name, value)
    else if (!/^[a-z0-9_.-]+$/.test(name.name)) return null
  }
  return metadata
}
