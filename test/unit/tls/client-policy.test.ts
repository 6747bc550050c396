import { X509Certificate } from "node:crypto"
import { describe, expect, test } from "vitest"
import { ClientPolicy, type Shown } from "../../../gateway/tls/client-policy.ts"
import { Authority, type Certificate } from "../../support/certs.ts"

const authority = new Authority()
const stranger = new Authority("A stranger")
const alice = authority.issue({ commonName: "alice", days: 10 })
const eve = stranger.issue({ commonName: "eve" })
const now = Date.now()

function shown(certificate: Certificate | null, authorized: boolean, reused: boolean = false): Shown {
  return {
    authorized,
    getPeerX509Certificate: () => (certificate === null ? undefined : new X509Certificate(certificate.cert)),
    isSessionReused: () => reused,
  }
}

describe.each([true, false])("a client's certificate, with sessions that are sealed: %s", (sealed) => {
  const policy = (required: boolean): ClientPolicy => new ClientPolicy(authority.cert, required, sealed)

  test("is refused when the runtime doesn't vouch for it, and when it has expired", () => {
    expect(policy(true).judge(shown(alice, true), now)?.commonName).toBe("alice")
    expect(policy(true).judge(shown(eve, false), now)).toBeUndefined()
    expect(policy(false).judge(shown(eve, false), now)).toBeUndefined()
    expect(policy(true).judge(shown(alice, true, true), now + 11 * 86_400_000)).toBeUndefined()
  })

  test("may be missing only where it is optional", () => {
    expect(policy(true).judge(shown(null, true, true), now)).toBeUndefined()
    expect(policy(false).judge(shown(null, false), now)).toBeNull()
  })
})

describe("a session that goes on, where tickets of one server open at another", () => {
  test("is good with a certificate that one of the listener's authorities has signed", () => {
    const policy = new ClientPolicy(stranger.cert + authority.cert, true, false)
    expect(policy.judge(shown(alice, true, true), now)?.commonName).toBe("alice")
  })

  test("is good with one that was checked in a full handshake before", () => {
    // Its issuer is an intermediate, which came with the handshake.
    const policy = new ClientPolicy(authority.cert, true, false)
    expect(policy.judge(shown(eve, true, true), now)).toBeUndefined()
    expect(policy.judge(shown(eve, true, false), now)?.commonName).toBe("eve")
    expect(policy.judge(shown(eve, true, true), now)?.commonName).toBe("eve")
  })
})
