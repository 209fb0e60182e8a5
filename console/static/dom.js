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

// current: which row is the one that the page is about.
export function table(columns, rows, empty, current = () => false) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const kind = (column) => (column.number ? "number" : undefined);
  return h("table", {},
    h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: kind(column) }, column.name)))),
    h("tbody", {}, rows.map((row) => h("tr", { "aria-current": current(row) ? "true" : null }, columns.map((column) => {
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

// When the browser has painted what stands now; a page in the background paints nothing and does not wait.
export function painted() {
  return new Promise((done) => {
    setTimeout(done, 250);
    requestAnimationFrame(() => setTimeout(done));
  });
}

// Links to the same answer as a file: the browser saves it.
export function files(path, formats) {
  const joined = path.includes("?") ? "&" : "?";
  return h("p", { class: "files" }, "Download: ", formats.flatMap((format) => [h("a", { href: `/api/v1${path}${joined}format=${format}`, download: "" }, format.toUpperCase()), " "]));
}
