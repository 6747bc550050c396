// @ts-check
// Buttons for what changes something. One that can't be carried out as things are is grey and says why; one that can asks first.

import { Refused } from "./api.js"
import { report, sure } from "./dialog.js"
import { h, set } from "./dom.js"

/**
 * What is to be done, as whoever confirms it reads it.
 * @typedef {object} Order
 * @property {string} title
 * @property {string} consequence
 * @property {string} act
 * @property {boolean} [dangerous]
 * @property {() => Promise<any>} give
 * @property {string} [done] what is said when the gateway says nothing
 * @property {(why: string) => Order} [otherwise] what to offer when it was refused as things are (409)
 */

/** Why nothing can be ordered at all; "" = it can. */
let away = ""
/** @type {WeakMap<Element, () => void>} */
const marks = new WeakMap()

/**
 * The gateway doesn't answer, or doesn't let us in; "": it does.
 * @param {string} why
 */
export function ordersAway(why) {
  if (why === away) return
  away = why
  for (const button of document.querySelectorAll("button.order")) marks.get(button)?.()
}

/**
 * It stays within reach of the keyboard when it can't be used, since it says why.
 * @param {string} text
 * @param {{ look?: string, name?: string, press: () => void }} options `name`: for those who don't see where it stands
 */
export function orderButton(text, { look = "", name, press }) {
  let own = ""
  const button = h(
    "button",
    {
      type: "button",
      class: `order ${look}`.trim(),
      "aria-label": name ?? null,
      click: () => {
        const why = away || own
        if (why === "") press()
        else report(why, "bad")
      },
    },
    text,
  )
  const mark = () => {
    const why = away || own
    set(button, { "aria-disabled": why === "" ? null : "true", title: why === "" ? null : why })
  }
  marks.set(button, mark)
  mark()
  return {
    element: button,
    /** @param {string} why why it can't be carried out; "" = it can */
    allow(why) {
      if (why === own && button.hasAttribute("aria-disabled") === ((away || own) !== "")) return
      own = why
      mark()
    },
  }
}

/**
 * Gives an order after it was confirmed, and says what became of it.
 * @param {Order} order
 * @returns {Promise<boolean>} it was done
 */
export async function confirmed({ title, consequence, act, dangerous, give, done, otherwise }) {
  if (!(await sure(title, consequence, { act, dangerous }))) return false
  try {
    const answer = await give()
    report(typeof answer?.done === "string" ? answer.done : (done ?? "Done"), "good")
    return true
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    if (otherwise !== undefined && error instanceof Refused && error.status === 409) return confirmed(otherwise(why))
    report(why, "bad")
    return false
  }
}
