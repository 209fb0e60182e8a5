import { get, say } from "../api.js";
import { h, state } from "../dom.js";
import { ago, number } from "../format.js";
import { fit, openMap, truckFeatures, whenLoaded } from "../map.js";
import { go } from "../app.js";

const HOURS = 24;
const REFRESH_MS = 2000;
const MANY = 500;
const LIST_MS = 5000;
const ORDER = { moving: 0, idle: 1, stopped: 2, silent: 3 };

export async function fleet(page) {
  const list = h("ul");
  const counts = h("p", { class: "quiet", role: "status" });
  const search = h("input", { type: "search", placeholder: "Find a truck", "aria-label": "Find a truck", oninput: () => drawList() });
  const slider = h("input", { type: "range", min: "0", max: String(HOURS * 60), value: String(HOURS * 60), "aria-label": "Past instant", oninput: () => travel() });
  const shown = h("output", {}, "now");
  const now = h("button", { type: "button", onclick: () => { slider.value = slider.max; travel(); } }, "Now");
  const box = h("div", { class: "map", role: "application", "aria-label": "Map of the fleet" });
  page.replaceChildren(h("div", { class: "fleet" },
    h("section", { class: "side", "aria-label": "Trucks" }, h("div", { class: "top" }, h("h1", {}, "Fleet"), search, counts), list),
    h("div", { class: "mapbox" }, box, h("div", { class: "travel" }, slider, shown, now))));
  const map = openMap(box, (truckId) => go(`/truck/${encodeURIComponent(truckId)}`));
  let rows = [], fitted = false, listDue = 0, timer = 0, stopped = false, at = null;

  // changed: only these rows are new to the map; all of them where it is left out.
  function draw(changed) {
    drawCounts();
    // Of a large fleet the list is made anew every few seconds: what moves each second is the map.
    if (!changed?.length || rows.length < MANY || performance.now() > listDue) drawList();
    drawMap(changed);
  }

  function drawCounts() {
    const tally = { moving: 0, idle: 0, stopped: 0, silent: 0 };
    for (const row of rows) tally[row.state] += 1;
    const of = (name) => tally[name];
    counts.textContent = rows.length ? `${rows.length} trucks: ${of("moving")} moving, ${of("idle")} idle, ${of("stopped")} stopped, ${of("silent")} silent` : "";
  }

  function drawList() {
    listDue = performance.now() + LIST_MS;
    const words = search.value.trim().toLowerCase();
    const found = rows.filter((row) => row.truck_id.toLowerCase().includes(words))
      .sort((a, b) => Boolean(b.attention) - Boolean(a.attention) || ORDER[a.state] - ORDER[b.state] || (a.truck_id < b.truck_id ? -1 : 1));
    const none = words ? "No truck has that name." : ["No trucks yet. Start some with ", h("code", {}, "milepost up --trucks 5"), "."];
    list.replaceChildren(...(found.length ? found.slice(0, 300).map(item) : [h("li", {}, h("p", { class: "empty", style: "padding:12px" }, none))]));
  }

  function drawMap(changed) {
    whenLoaded(map, () => {
      const source = map.getSource("trucks");
      if (changed && fitted) source.updateData({ add: truckFeatures(changed).features, remove: changed.filter((row) => row.latitude === null).map((row) => row.truck_id) });
      else source.setData(truckFeatures(rows));
      if (!fitted && rows.length) {
        fit(map, rows.filter((row) => row.latitude !== null).map((row) => [row.longitude, row.latitude]));
        fitted = true;
      }
    });
  }

  function item(row) {
    const moment = at ? new Date(at) : Date.now();
    return h("li", {}, h("a", { href: `/truck/${encodeURIComponent(row.truck_id)}${at ? `?at=${at}` : ""}` },
      h("b", {}, row.truck_id), state(row),
      h("small", {}, row.attention ? h("span", { class: "care" }, `⚠ ${row.attention} · `) : null,
        `${number(row.speed_kmh)} km/h · fuel ${number(row.fuel_level)} % · ${ago(row.sampled_at, moment)}`)));
  }

  // Now: everything once, then only what changed, by an open stream, or by asking where none is to be had.
  let cursor = "", stream = null, known = new Map();

  function take(change) {
    if (change.whole) known = new Map();
    for (const row of change.trucks) known.set(row.truck_id, row);
    cursor = change.cursor;
    if (at || stopped) return;
    rows = [...known.values()];
    draw(change.whole ? undefined : change.trucks);
  }

  async function refresh() {
    clearTimeout(timer);
    try {
      if (at) {
        const asked = at;
        const found = await get(`/fleet?at=${encodeURIComponent(asked)}`);
        if (asked !== at || stopped) return;
        rows = found.trucks;
        draw();
        return;
      }
      if (!cursor) take({ whole: true, ...(await get("/fleet")) });
      else take(await get(`/changes?since=${cursor}`));
      if (!stream && !stopped) listen();
    } catch (error) {
      counts.textContent = error.message;
    }
    if (!stopped && !at && !stream) timer = setTimeout(refresh, REFRESH_MS);
  }

  function listen() {
    stream = new EventSource(`/api/v1/events?since=${cursor}`);
    stream.onopen = () => say(true, "live");
    stream.onmessage = (event) => take(JSON.parse(event.data));
    stream.onerror = () => {
      say(false, "no connection");
      stream.close();
      stream = null;
      if (!stopped && !at) timer = setTimeout(refresh, REFRESH_MS);
    };
  }

  function travel() {
    const back = HOURS * 60 - Number(slider.value);
    at = back ? new Date(Date.now() - back * 60000).toISOString() : null;
    shown.textContent = at ? new Date(at).toLocaleString(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" }) : "now";
    if (!at && stream) {
      rows = [...known.values()];
      draw();
    } else refresh();
  }

  await refresh();
  return () => { stopped = true; clearTimeout(timer); stream?.close(); map.remove(); };
}
