// What the load and the origin of the TCP scenario agree on.

/** First octet of a connection: what the origin is to do. */
export const ECHO = "e".charCodeAt(0)
export const TAKE = "t".charCodeAt(0)
export const GIVE = "g".charCodeAt(0)

/** Octets of one write. */
export const writeSize = 65_536
/** Connections that write, and as many that read. */
export const connectionsEachWay = 4
