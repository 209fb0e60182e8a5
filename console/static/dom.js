// Nodes are made, never parsed: what strangers sent stays text.
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function table(columns, rows, empty) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const kind = (column) => (column.number ? "number" : undefined);
  return h("table", {},
    h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: kind(column) }, column.name)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column) => {
      const cell = column.cell(row);
      return h("td", { class: kind(column), "data-name": column.name }, cell === null || cell === undefined || cell === "" ? "–" : cell);
    })))));
}

export function tile(value, name, care) {
  return h("div", { class: "tile" }, h("b", { class: care ? "care" : undefined }, String(value)), h("span", {}, name));
}

export function state(row) {
  return h("span", { class: `state ${row.state}` }, h("i", { class: "mark", "aria-hidden": "true" }), row.state);
}
