// Keeps secrets out of what is shown: of a configuration that has an error, whose messages and excerpts end in logs, and of the
// fields of messages and settings of filters.

/** Stands for a value that isn't shown. */
export const REDACTED = "[redacted]"

/** User name and password of a URL, up to the last `@` of the text. */
const USER_INFO = /(:\/\/)([^\s"',}\]]+)(?=@)/g
const NAMES = "pass(?:word|wd|phrase)|secret|token|credential|authorization|(?:api|access|private)[-_]?key"
// What begins with a bracket has keys of its own.
const VALUE = `"(?:[^"\\\\]|\\\\.)*"?|'[^']*'?|[^\\s"'#{}[\\],][^,}\\]#]*`
/** A value behind a key that sounds like one, in YAML or JSON, JSON in JSON too. */
const KEYED = new RegExp(`((?:${NAMES})s?\\\\*["']?[ \\t]*:[ \\t]*)(${VALUE})`, "gi")
/** The same of cookies, which in a configuration are named and not told. */
const COOKIE = new RegExp(`(\\bcookie\\\\*["']?[ \\t]*:[ \\t]*)(${VALUE})`, "gi")
/** As a query or a command line has it. */
const PARAMETER = new RegExp(`((?:${NAMES})s?=)([^\\s"'&,;}\\])\\\\]+)`, "gi")
const CREDENTIALS = /\b((?:Bearer|Basic)(?: +|%20))([A-Za-z0-9._~+/=-]+)/gi
const PRIVATE_KEY = /(-----BEGIN [A-Z ]*PRIVATE KEY-----)([\s\S]*?)(?=-----END|$)/g

/** Whether a value of this key may be shown to nobody. */
export function isSecretName(key: PropertyKey | undefined): boolean {
  return typeof key === "string" && /pass(?:word|wd|phrase)|secret/i.test(key)
}

/** A line of source with its secrets masked. It stays as long as it was, so that columns still fit. */
export function maskLine(line: string): string {
  const masked = (_: string, before: string, secret: string): string => before + "*".repeat(secret.length)
  return line.replace(USER_INFO, masked).replace(KEYED, masked)
}

/** A text without what lets somebody in wherever it stands: users and parameters of URLs, credentials of headers, private keys. */
export function maskCredentials(text: string): string {
  return [USER_INFO, CREDENTIALS, PARAMETER, PRIVATE_KEY].reduce(hideIn, text)
}

/** A text of any kind, such as a line of a log, without that, and without what it says by names that sound secret. */
export function maskText(text: string): string {
  return [KEYED, COOKIE].reduce(hideIn, maskCredentials(text))
}

function hideIn(text: string, pattern: RegExp): string {
  return text.replace(pattern, (_, before: string) => before + REDACTED)
}

const SECRET = /pass(?:word|wd|phrase)|^pass$|secret|token|credential|authorization|bearer|cookie|signature|salt$|^pin$|^pwd$|keys?$/

/** Whether what this key holds should not be shown. */
export function isSecretKey(key: string): boolean {
  return SECRET.test(key.toLowerCase().replace(/[^a-z0-9]/g, ""))
}
