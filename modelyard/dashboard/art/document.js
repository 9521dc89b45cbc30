// What belongs to the whole page: its language, and a short way out of tables by the keyboard.

const TABLE = '[data-testid="stDataFrame"]'
const REACHABLE = "a[href], button:not([disabled]), input:not([disabled]), textarea, summary, [tabindex='0'], canvas"

export default function ({ data }) {
  document.documentElement.lang = data.language
  document.cookie = `${data.cookie}=${data.language}; path=/; max-age=31536000; SameSite=Lax`
  document.removeEventListener("keydown", window.modelyardLeave, true)
  window.modelyardLeave = leave
  document.addEventListener("keydown", leave, true)
}

// Tab goes from cell to cell of a table; Escape goes on behind it, with Shift before it.
function leave(event) {
  const table = event.target.closest?.(TABLE)
  if (event.key !== "Escape" || !table || event.target.matches("input, textarea")) return
  const side = event.shiftKey ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING
  const there = [...document.querySelectorAll(REACHABLE)].filter(
    (one) => one.offsetParent !== null && !table.contains(one) && table.compareDocumentPosition(one) & side,
  )
  const next = (event.shiftKey ? there.at(-1) : there[0]) ?? document.getElementById("stMain")
  event.preventDefault()
  next.focus()
}
