// Colours for a terminal, where someone looks at one and hasn't said that he wants none (https://no-color.org).

export type Paint = (text: string, colour: Colour) => string
export type Colour = "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "grey" | "bold"

const CODES: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36, grey: 90, bold: 1 }

/** What paints text for `stream`; text stays as it is where nobody sees colours. */
export function paintFor(
  stream: { readonly isTTY?: boolean | undefined },
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Paint {
  const coloured = stream.isTTY === true && (environment.NO_COLOR ?? "") === "" && environment.TERM !== "dumb"
  return coloured ? (text, colour) => `\x1b[${CODES[colour]}m${text}\x1b[0m` : (text) => text
}
