// A table whose links turn the page of the dashboard itself; with Ctrl or the middle button they open a tab.
// What it shows comes as data, and becomes text alone: nothing of it is read as HTML.

const SVG = "http://www.w3.org/2000/svg"
const ticked = new WeakMap()

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const chosen = ticked.get(parentElement) ?? new Set()
  ticked.set(parentElement, chosen)
  const there = new Set(data.rows.map((row) => row.id))
  for (const id of chosen) if (!there.has(id)) chosen.delete(id)
  const turn = (cell) => setTriggerValue("opened", { page: cell.page, query: cell.query })
  const tick = (id, on) => {
    if (on) chosen.add(id)
    else chosen.delete(id)
    setStateValue("ticked", [...chosen])
  }
  const old = parentElement.querySelector("table")
  const table = element("table", null, [head(data), body(data, chosen, tick, turn)])
  table.setAttribute("aria-label", data.label)
  if (old) old.replaceWith(table)
  else parentElement.append(table)
}

function element(name, kind, children = []) {
  const made = document.createElement(name)
  if (kind) made.className = kind
  made.append(...children)
  return made
}

function head({ columns, ticks }) {
  const cells = columns.map((column) => {
    const cell = element("th", column.kind, [column.title])
    cell.scope = "col"
    return cell
  })
  if (ticks) cells.unshift(element("td", "tick"))
  return element("thead", null, [element("tr", null, cells)])
}

function body({ columns, rows, ticks }, chosen, tick, turn) {
  const lines = rows.map((row) => {
    const cells = row.cells.map((cell, place) => element("td", columns[place].kind, parts(cell, turn)))
    if (ticks) cells.unshift(element("td", "tick", [box(row, ticks, chosen, tick)]))
    return element("tr", row.faded ? "faded" : null, cells)
  })
  return element("tbody", null, lines)
}

function box(row, words, chosen, tick) {
  const made = element("input")
  made.type = "checkbox"
  made.checked = chosen.has(row.id)
  made.setAttribute("aria-label", `${words} ${row.title}`)
  made.onchange = () => tick(row.id, made.checked)
  return made
}

function parts(cell, turn) {
  if (typeof cell === "string") return [cell]
  if (Array.isArray(cell)) return cell.flatMap((one) => [...parts(one, turn), " "])
  if (cell.badge) return [element("span", `badge ${cell.color ?? ""}`, [cell.badge])]
  if (cell.line) return [sparkline(cell)]
  if (cell.page) return [link(cell, turn)]
  return [element("span", cell.kind, [cell.text])]
}

function link(cell, turn) {
  const made = element("a", null, [cell.text])
  made.href = `${cell.page}?${new URLSearchParams(cell.query)}`
  made.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
    event.preventDefault()
    turn(cell)
  }
  return made
}

function sparkline({ line, words }) {
  const [width, height, margin] = [96, 24, 4]
  const values = line.filter((value) => value !== null)
  const drawn = document.createElementNS(SVG, "svg")
  drawn.setAttribute("viewBox", `0 0 ${width} ${height}`)
  drawn.setAttribute("width", width)
  drawn.setAttribute("height", height)
  drawn.setAttribute("role", "img")
  drawn.setAttribute("aria-label", words)
  const title = drawn.appendChild(document.createElementNS(SVG, "title"))
  title.textContent = words
  if (!values.length) return drawn
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const x = (place) => (line.length < 2 ? width - margin : margin + (place / (line.length - 1)) * (width - 2 * margin))
  const y = (value) => (high === low ? height / 2 : height - margin - ((value - low) / (high - low)) * (height - 2 * margin))
  const points = line.flatMap((value, place) => (value === null ? [] : [[x(place), y(value)]]))
  const path = drawn.appendChild(document.createElementNS(SVG, "polyline"))
  path.setAttribute("points", points.map((point) => point.join(",")).join(" "))
  const dot = drawn.appendChild(document.createElementNS(SVG, "circle"))
  const [last_x, last_y] = points[points.length - 1]
  dot.setAttribute("cx", last_x)
  dot.setAttribute("cy", last_y)
  dot.setAttribute("r", 2.5)
  return drawn
}
