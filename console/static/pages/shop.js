import { get, me } from "../api.js";
import { h, table, tile } from "../dom.js";
import { number, time } from "../format.js";
import uPlot from "../vendor/uPlot.esm.js";

const REFRESH_MS = 5000;
const LIVE_MS = 1500;
const SHOWN = innerWidth < 700 ? 8 : 30;
const HOURS = { "last hour": 1, "last 24 hours": 24, "last 7 days": 168, "last 30 days": 720 };
const DIMENSIONS = ["page", "source", "campaign", "device", "country", "item"];
const STEPS = "page_view, view, add_to_cart, purchase";

// What is asked stands in the address, so that it can be sent to somebody.
function asked() {
  const query = new URLSearchParams(location.search);
  const filters = DIMENSIONS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]);
  return { hours: Number(query.get("hours")) || 24, by: DIMENSIONS.includes(query.get("by")) ? query.get("by") : "page", steps: query.get("steps") || STEPS, filters };
}

function ask(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) (value === null ? query.delete(name) : query.set(name, value));
  history.replaceState(null, "", `/shop?${query}`);
}

export async function shop(page) {
  let timer = 0, liveTimer = 0, stopped = false;
  const who = await me();
  const numbers = h("div", { class: "tiles" }), traffic = h("div", { class: "plot" }), chips = h("p", { class: "chips" });
  const funnelCard = h("div"), breakdown = h("div"), live = h("div"), note = h("p", { class: "quiet", role: "status" });
  const select = (label, options, value, act) => h("label", {}, `${label} `, h("select", { onchange: (event) => { act(event.target.value); refresh(); } },
    Object.entries(options).map(([name, each]) => h("option", { value: each, selected: String(each) === String(value) }, name))));
  const steps = h("input", { value: asked().steps, "aria-label": "Steps of the funnel, two to six event types", onchange: (event) => { ask({ steps: event.target.value }); refresh(); } });
  page.replaceChildren(h("div", { class: "page" },
    h("div", { class: "head" }, h("h1", {}, "Shop"),
      select("Period", HOURS, asked().hours, (value) => ask({ hours: value })),
      select("By", Object.fromEntries(DIMENSIONS.map((name) => [name, name])), asked().by, (value) => ask({ by: value }))),
    chips, note, numbers,
    h("div", { class: "two" },
      h("section", { class: "card" }, h("h2", {}, "Funnel"), h("p", {}, steps), funnelCard),
      h("section", { class: "card" }, h("h2", {}, "Events, with the period before dashed"), traffic)),
    h("section", { class: "card" }, h("h2", {}, "Sessions"), breakdown),
    h("section", { class: "card" }, h("h2", {}, "Newest events"), live)));

  async function refresh() {
    clearTimeout(timer);
    const { hours, by, steps: wanted, filters } = asked();
    const now = new Date(), query = new URLSearchParams(filters);
    query.set("from", new Date(now - hours * 3600000).toISOString());
    query.set("to", now.toISOString());
    try {
      const [found, funnel] = await Promise.all([get(`/shop/period?${query}&by=${by}`), get(`/funnel?${query}&steps=${encodeURIComponent(wanted.replaceAll(" ", ""))}`)]);
      if (stopped) return;
      note.textContent = found.complete_from && found.complete_from > found.from ? `Only events since ${new Date(found.complete_from).toLocaleString()} are kept here: the marts have the rest.` : "";
      draw(found, funnel, by, filters);
    } catch (error) {
      note.textContent = error.message;
    }
    if (!stopped) timer = setTimeout(refresh, REFRESH_MS);
  }

  function draw(found, funnel, by, filters) {
    const { now, before } = found;
    numbers.replaceChildren(compared(now.sessions, before.sessions, "sessions"), compared(now.events, before.events, "events"),
      compared(now.purchases, before.purchases, "sessions with a purchase"),
      tile(now.conversion === null ? "–" : `${number(100 * now.conversion, 1)} %`, `conversion, before ${before.conversion === null ? "–" : `${number(100 * before.conversion, 1)} %`}`));
    chips.replaceChildren(...filters.map(([name, value]) => h("button", { type: "button", "aria-label": `Remove the filter ${name} ${value}`, onclick: () => { ask({ [name]: null }); refresh(); } }, `${name}: ${value} ×`)));
    const most = Math.max(1, ...funnel.map((row) => row.sessions));
    funnelCard.replaceChildren(table([
      { name: "step", cell: (row) => row.step }, { name: "sessions", number: true, cell: (row) => number(row.sessions) },
      { name: "of the first", number: true, cell: (row) => (row.share === null ? "–" : `${number(100 * row.share, 1)} %`) },
      { name: "share", cell: (row) => h("div", { class: "bar-cell" }, h("i", { style: `width:${(100 * row.sessions) / most}%` })) },
    ], funnel, "No steps."));
    breakdown.replaceChildren(table([
      { name: by, cell: (row) => (row.value === null ? "unknown" : h("button", { class: "link", type: "button", title: "Only these", onclick: () => { ask({ [by]: row.value }); refresh(); } }, row.value)) },
      { name: "sessions", number: true, cell: (row) => number(row.sessions) }, { name: "before", number: true, cell: (row) => number(row.before) },
      { name: "events", number: true, cell: (row) => number(row.events) }, { name: "with a purchase", number: true, cell: (row) => number(row.purchases) },
      { name: "conversion", number: true, cell: (row) => `${number((100 * row.purchases) / row.sessions, 1)} %` },
    ], found.by, "No sessions in this period. Paste the tag into a page: docs/clicks.md."));
    traffic.replaceChildren();
    minutes(traffic, found.points);
  }

  async function follow() {
    clearTimeout(liveTimer);
    const found = await get(`/shop/newest?limit=${SHOWN}`).catch(() => null);
    if (stopped) return;
    const inside = live.contains(document.activeElement); // what somebody is reading with the keyboard stays
    if (found && !inside) live.replaceChildren(table([
      { name: "received", cell: (row) => time(row.received_at) }, { name: "event", cell: (row) => row.event_type },
      { name: "page", cell: (row) => row.page }, { name: "item", cell: (row) => row.item_name || row.item_id },
      { name: "session", cell: (row) => (row.session_id && who.role === "operator" ? h("button", { class: "link", type: "button", title: "Its steps", onclick: () => steppedThrough(row.session_id) }, row.session_id.slice(0, 12)) : (row.session_id || "").slice(0, 12)) },
      { name: "receipt", cell: (row) => (row.refused === true ? h("b", { class: "care" }, `refused: ${row.why}`) : Object.keys(row.refused).length ? h("span", { class: "care" }, `accepted, but ${Object.entries(row.refused).map(([field, why]) => `${field} ${why}`).join("; ")}`) : row.is_bot ? "accepted, a robot" : "accepted") },
    ], [...found.events, ...found.refused.map(refused)].sort((a, b) => b.received_at.localeCompare(a.received_at)).slice(0, SHOWN), "No event yet. Paste the tag into a page: docs/clicks.md."));
    liveTimer = setTimeout(follow, LIVE_MS);
  }

  async function steppedThrough(sessionId) {
    const found = await get(`/sessions/${encodeURIComponent(sessionId)}`).catch((error) => { note.textContent = error.message; });
    if (!found) return;
    const dialog = h("dialog", { "aria-label": `Session ${sessionId}` }, h("h2", {}, `Session ${sessionId}`),
      h("ol", {}, found.map((step) => h("li", {}, time(step.timestamp), ` ${step.event_type} ${step.page || ""} ${step.item_name || step.item_id || ""}`))),
      h("form", { method: "dialog" }, h("button", {}, "Close")));
    dialog.addEventListener("close", () => dialog.remove());
    page.append(dialog);
    dialog.showModal();
  }

  await Promise.all([refresh(), follow()]);
  return () => { stopped = true; clearTimeout(timer); clearTimeout(liveTimer); };
}

const refused = (letter) => ({ received_at: letter.received_at, event_type: "–", page: "", item_id: "", session_id: "", refused: true, why: `${letter.field ? `${letter.field} ` : ""}${letter.reason}` });

function compared(now, before, name) {
  const change = before ? `${now >= before ? "+" : "−"}${number(Math.abs((100 * (now - before)) / before))} %` : "none before";
  return tile(number(now), `${name}, ${change}`);
}

function minutes(place, rows) {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  new uPlot({
    width: Math.max(200, place.clientWidth), height: 190, legend: { show: false }, cursor: { y: false },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high)] } },
    series: [{}, { stroke: css("--accent"), fill: `${css("--accent")}22`, width: 1.6 }, { stroke: css("--quiet"), width: 1.2, dash: [4, 4] }], axes: [axis, { ...axis, size: 42 }],
  }, [rows.map(([at]) => new Date(at) / 1000), rows.map(([, now]) => now), rows.map(([, , before]) => before)], place);
}
