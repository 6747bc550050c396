// `sluice/sdk`: what a filter may import.

export { Body } from "./body"
export { Answer, Call } from "./call"
export { Cidr, CidrSet } from "./cidr"
export { now } from "./clock"
export { Config } from "./config"
export { Cookie } from "./cookie"
export {
  constantTimeEquals,
  hmacSha1,
  hmacSha256,
  hmacSha384,
  hmacSha512,
  randomBytes,
  sha1,
  sha256,
  sha384,
  sha512,
} from "./crypto"
export { httpDate, isoDate, parseHttpDate, parseIsoDate } from "./dates"
export { base64, base64url, hex, percent, utf8 } from "./encoding"
export { GrpcAnswer, GrpcCall } from "./grpc-call"
export { HttpFilter } from "./filter"
export { Header, Headers } from "./headers"
export { Json } from "./json"
export { log } from "./log"
export { Counter, Gauge, Histogram } from "./metrics"
export { Pattern, PatternSet } from "./pattern"
export { Peer } from "./peer"
export { properties } from "./properties"
export { Query, QueryParameter } from "./query"
export { Queue } from "./queue"
export { RateLimit, seconds } from "./rate-limit"
export { Reply } from "./reply"
export { Request } from "./request"
export { Response } from "./response"
export { Route } from "./route"
export { shared, SharedCounter, SharedValue } from "./shared"
export { verifySignature } from "./signature"
export { strings } from "./strings"
export { every } from "./timer"
export { FixedWindow, Quota, SlidingWindow } from "./windows"
