// What the runtimes make of TLS sessions that clients go on with.

/**
 * Whether a session can be trusted to have passed the demands of the server it goes on with, for its ticket opens with that
 * server's keys only. Deno 2.9 has one set of keys a thread, whatever `ticketKeys` says, and calls every client certificate of
 * such a session authorized: also one that another server took without checking it.
 */
export const sessionsAreSealed: boolean = process.versions.deno === undefined
