// By which names things are taken for secrets wherever they would be shown: settings, header fields, query parameters.

/** Stands where a secret was. */
export const REDACTED = "[redacted]"

const SECRET = /pass(?:word|wd|phrase)|^pass$|secret|token|credential|authorization|bearer|cookie|signature|salt$|^pin$|^pwd$|keys?$/

/** Whether what this key, field or parameter holds should not be shown. */
export function isSecretKey(key: string): boolean {
  return SECRET.test(key.toLowerCase().replace(/[^a-z0-9]/g, ""))
}
