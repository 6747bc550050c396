// How fields are best sent, by name: the static table's names, and others often seen. What isn't here is decided by what was seen on
// the connection.

import { encodeHuffman, huffmanLength } from "./hpack-huffman.ts"
import { STATIC_NAMES, STATIC_VALUES } from "./hpack-static.ts"

/** Values are few and repeat: into the table at first sight. */
export const INDEX = 0
/** Values may repeat or not: into the table at second sight, so that random ones don't drive out the others. */
const INDEX_SECOND = 1
/** Values rarely repeat: never into the table. */
export const PLAIN = 2
/** Values are secrets that are worth guessing: never into any table, here or further on (RFC 7541 §7.1.3). */
export const SECRET = 3
/** Secret when short enough to be guessed piece by piece, else as {@link INDEX_SECOND}. */
export const COOKIE = 4
/** Characters from which on a cookie is no longer guessed. */
export const LONG_COOKIE = 20

export class FieldName {
  readonly name: string
  /** Unique among the names of a connection; dense. */
  readonly id: number
  readonly policy: number
  /** Where the static table has the name, first; 0 = it doesn't. */
  readonly index: number
  /** Values the static table has from {@link index} on. */
  readonly values: readonly string[]
  /** The name as a string literal, Huffman-coded (RFC 7541 §5.2); empty for names that aren't known beforehand. */
  readonly literal: Uint8Array

  constructor(name: string, id: number, policy: number, index: number, values: readonly string[], literal: Uint8Array) {
    this.name = name
    this.id = id
    this.policy = policy
    this.index = index
    this.values = values
    this.literal = literal
  }
}

const NO_VALUES: readonly string[] = []
const NO_OCTETS = new Uint8Array(0)

function literalOf(name: string): Uint8Array {
  const octets = new Uint8Array(1 + huffmanLength(name))
  octets[0] = 0x80 | (octets.length - 1)
  encodeHuffman(name, octets, 1)
  return octets
}

/** A name that isn't in {@link KNOWN_NAMES}. */
export function otherName(name: string, id: number): FieldName {
  return new FieldName(name, id, INDEX_SECOND, 0, NO_VALUES, NO_OCTETS)
}

const policies: readonly (readonly [policy: number, names: string])[] = [
  [SECRET, "authorization proxy-authorization"],
  [COOKIE, "cookie"],
  [
    PLAIN,
    "age content-length content-range etag if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location" +
      " set-cookie x-request-id x-correlation-id traceparent tracestate x-b3-traceid x-b3-spanid x-b3-parentspanid b3 grpc-message" +
      " x-envoy-upstream-service-time x-amzn-trace-id cf-ray server-timing",
  ],
  [INDEX_SECOND, ":path content-disposition content-location expires link range referer x-forwarded-for x-real-ip grpc-timeout forwarded"],
  [
    INDEX,
    "te grpc-encoding grpc-accept-encoding grpc-status x-forwarded-proto x-forwarded-host x-forwarded-port origin" +
      " upgrade-insecure-requests sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform" +
      " priority dnt x-content-type-options x-frame-options x-xss-protection content-security-policy referrer-policy alt-svc" +
      " x-powered-by accept-patch access-control-allow-credentials access-control-allow-headers access-control-allow-methods" +
      " access-control-expose-headers access-control-max-age :protocol",
  ],
]

/** Names with a policy of their own. The others of the static table are {@link INDEX}. */
export const KNOWN_NAMES: ReadonlyMap<string, FieldName> = (() => {
  const policyOf = new Map<string, number>()
  for (const name of STATIC_NAMES) if (name !== "") policyOf.set(name, INDEX)
  for (const [policy, names] of policies) for (const name of names.split(" ")) policyOf.set(name, policy)
  const known = new Map<string, FieldName>()
  for (const [name, policy] of policyOf) {
    const index = Math.max(0, STATIC_NAMES.indexOf(name))
    const values = STATIC_VALUES.filter((value, i) => STATIC_NAMES[i] === name && value !== "")
    known.set(name, new FieldName(name, known.size, policy, index, index === 0 ? NO_VALUES : values, literalOf(name)))
  }
  return known
})()
