import { get } from "../api.js";
import { h, table, tile } from "../dom.js";
import { number } from "../format.js";
import uPlot from "../vendor/uPlot.esm.js";

const REFRESH_MS = 5000;

export async function shop(page) {
  let timer = 0, stopped = false;
  async function draw() {
    const found = await get("/shop");
    if (stopped) return;
    const events = found.item.reduce((sum, row) => sum + row.count, 0);
    const steps = Object.fromEntries(found.funnel.map((row) => [row.step, row.sessions]));
    const bought = steps.purchase || 0, started = steps.page_view || 0;
    const traffic = h("div", { class: "plot" });
    page.replaceChildren(h("div", { class: "page" },
      h("h1", {}, "Shop"),
      h("div", { class: "tiles" }, tile(number(events), "events counted"), tile(number(found.session.length), "sessions"),
        tile(number(bought), "sessions with a purchase"), tile(started ? `${number((100 * bought) / started, 1)} %` : "–", "conversion")),
      h("div", { class: "two" },
        h("section", { class: "card" }, h("h2", {}, "Funnel"), funnel(found.funnel)),
        h("section", { class: "card" }, h("h2", {}, "Events by minute"), traffic)),
      h("section", { class: "card" }, h("h2", {}, "Items"), items(found.item))));
    minutes(traffic, found.minute);
    timer = setTimeout(() => draw().catch(() => {}), REFRESH_MS);
  }
  await draw();
  return () => { stopped = true; clearTimeout(timer); };
}

function funnel(rows) {
  const most = Math.max(1, ...rows.map((row) => row.sessions));
  return table([
    { name: "step", cell: (row) => row.step },
    { name: "sessions", number: true, cell: (row) => number(row.sessions) },
    { name: "share", cell: (row) => h("div", { class: "bar-cell" }, h("i", { style: `width:${(100 * row.sessions) / most}%` })) },
  ], rows, "No sessions yet. Paste the tag into a page: docs/clicks.md.");
}

function items(rows) {
  const kinds = ["view", "click", "add_to_cart", "purchase"];
  const found = new Map();
  for (const row of rows) {
    if (!row.item_id) continue;
    const item = found.get(row.item_id) || { item_id: row.item_id, item_name: row.item_name };
    item[row.event_type] = (item[row.event_type] || 0) + row.count;
    found.set(row.item_id, item);
  }
  const sorted = [...found.values()].sort((a, b) => (b.view || 0) - (a.view || 0)).slice(0, 50);
  return table([
    { name: "item", cell: (row) => row.item_id }, { name: "name", cell: (row) => row.item_name },
    ...kinds.map((kind) => ({ name: kind.replaceAll("_", " "), number: true, cell: (row) => number(row[kind] || 0) })),
  ], sorted, "No item was looked at yet.");
}

function minutes(place, rows) {
  const sums = new Map();
  for (const row of rows) sums.set(row.minute, (sums.get(row.minute) || 0) + row.count);
  const ordered = [...sums].sort(([a], [b]) => a.localeCompare(b)).slice(-240);
  if (ordered.length < 2) return place.append(h("p", { class: "empty" }, "Two minutes with events make a line."));
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  new uPlot({
    width: Math.max(200, place.clientWidth), height: 190, legend: { show: false }, cursor: { y: false },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high)] } },
    series: [{}, { stroke: css("--accent"), fill: `${css("--accent")}22`, width: 1.6 }], axes: [axis, { ...axis, size: 42 }],
  }, [ordered.map(([minute]) => new Date(minute) / 1000), ordered.map(([, count]) => count)], place);
}
