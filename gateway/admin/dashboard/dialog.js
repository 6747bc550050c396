// @ts-check
// What interrupts: questions before an order, the token, and short reports of what became of it.

import { byId, h } from "./dom.js"

/** ms a report stays. */
const STAYS = 8000

/**
 * @param {string} title
 * @param {readonly (Node | string)[]} content
 * @param {{ act: string, dangerous?: boolean, value?: () => string }} choice
 * @returns {Promise<string | null>} null: no
 */
function question(title, content, { act, dangerous = false, value = () => "yes" }) {
  return new Promise((resolve) => {
    /** @type {string | null} */
    let answer = null
    const form = h(
      "form",
      {
        method: "dialog",
        submit: () => {
          answer = value()
        },
      },
      h("h2", { id: "question" }, title),
      ...content,
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Cancel"),
        h("button", { type: "submit", class: dangerous ? "danger" : "primary" }, act),
      ),
    )
    const dialog = h("dialog", { "aria-labelledby": "question" }, form)
    const before = document.activeElement
    dialog.addEventListener("close", () => {
      dialog.remove()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
      resolve(answer)
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}

/**
 * @param {string} title
 * @param {string} consequence what will happen
 * @param {{ act: string, dangerous?: boolean }} choice
 */
export async function sure(title, consequence, choice) {
  return (await question(title, [h("p", null, consequence)], choice)) !== null
}

/**
 * @param {boolean} refused the one before was not right
 * @returns {Promise<string | null>}
 */
export async function askForToken(refused) {
  const input = h("input", { type: "password", name: "token", autocomplete: "off", required: true, id: "token" })
  const text =
    "This gateway's admin API wants a token: the one its configuration names in admin.token. It is kept until this tab is closed."
  const wrong = refused ? h("p", { class: "bad" }, "The gateway refused that token.") : ""
  // What isn't of these can't be one, nor be sent as one.
  input.addEventListener("input", () =>
    input.setCustomValidity(/^\s*[!-~]*\s*$/.test(input.value) ? "" : "a token has only letters, digits and signs of ASCII, and no spaces"),
  )
  const answer = await question("This gateway wants a token", [wrong, h("p", null, text), h("label", { for: "token" }, "Token"), input], {
    act: "Continue",
    value: () => input.value.trim(),
  })
  return answer === "" ? null : answer
}

/**
 * @param {string} text
 * @param {"good" | "bad"} kind
 */
export function report(text, kind) {
  const alerts = byId("alerts")
  const alert = h(
    "div",
    { class: `alert ${kind}`, role: kind === "bad" ? "alert" : null },
    h("span", null, kind === "bad" ? `Not done: ${text}` : text),
    h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", click: () => alert.remove() }, "×"),
  )
  alerts.append(alert)
  while (alerts.childElementCount > 4) alerts.firstElementChild?.remove()
  if (kind === "good") setTimeout(() => alert.remove(), STAYS)
}
