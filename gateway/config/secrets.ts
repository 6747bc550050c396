// Keeps secrets out of what is shown: of a configuration that has an error, whose messages and excerpts end in logs, and of the
// fields of messages and settings of filters.

/** Stands for a value that isn't shown. */
export const REDACTED = "[redacted]"

/** User name and password of a URL, up to the last `@` of the text. */
const USER_INFO = /(:\/\/)([^\s"',}\]]+)(?=@)/g
/** A value behind a key that sounds like one, in YAML or JSON; what begins with a bracket has keys of its own. */
const KEYED =
  /((?:pass(?:word|wd|phrase)|secret|token|credential|authorization)s?["']?[ \t]*:[ \t]*)("[^"]*"?|'[^']*'?|[^\s"'#{}[\],][^,}\]#]*)/gi

/** Whether a value of this key may be shown to nobody. */
export function isSecretName(key: PropertyKey | undefined): boolean {
  return typeof key === "string" && /pass(?:word|wd|phrase)|secret/i.test(key)
}

/** A line of source with its secrets masked. It stays as long as it was, so that columns still fit. */
export function maskLine(line: string): string {
  const masked = (_: string, before: string, secret: string): string => before + "*".repeat(secret.length)
  return line.replace(USER_INFO, masked).replace(KEYED, masked)
}

const SECRET = /pass(?:word|wd|phrase)|^pass$|secret|token|credential|authorization|bearer|cookie|signature|salt$|^pin$|^pwd$|keys?$/

/** Whether what this key holds should not be shown. */
export function isSecretKey(key: string): boolean {
  return SECRET.test(key.toLowerCase().replace(/[^a-z0-9]/g, ""))
}
