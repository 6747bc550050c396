import { expect, test } from "vitest"
import { adminTarget } from "../../../gateway/cli/admin-target.ts"
import { UsageError } from "../../../gateway/cli/command.ts"

const at = (admin: string | undefined, environment: Record<string, string> = {}) =>
  adminTarget(admin === undefined ? {} : { admin }, environment)

test.each([
  [undefined, {}, { host: "127.0.0.1", port: 9901, socket: null, tls: null, token: "" }],
  [undefined, { SLUICE_ADMIN: "unix:/run/a.sock", SLUICE_ADMIN_TOKEN: "t" }, { socket: "/run/a.sock", token: "t" }],
  ["default", { SLUICE_ADMIN: "10.0.0.1:9" }, { host: "10.0.0.1", port: 9 }],
  ["[::1]:80", {}, { host: "::1", port: 80, tls: null }],
  ["http://a.example:81/", {}, { host: "a.example", port: 81, tls: null }],
  ["https://a.example:81", {}, { host: "a.example", port: 81, tls: { ca: undefined, cert: undefined, key: undefined } }],
])("%s with %j", (admin, environment, target) => {
  expect(at(admin, environment as Record<string, string>)).toMatchObject(target)
})

test.each([["nonsense"], ["unix:"], ["ftp://a:1"], ["127.0.0.1"], ["https://"]])("%s is called wrongly", (admin) => {
  expect(() => at(admin)).toThrow(UsageError)
})

test("a token of more than a line, or a file that isn't there, is called wrongly", () => {
  expect(() => adminTarget({ token: "a\nb" }, {})).toThrow(UsageError)
  expect(() => adminTarget({ admin: "https://a:1", ca: "/nowhere" }, {})).toThrow("--ca: /nowhere can't be read")
})
