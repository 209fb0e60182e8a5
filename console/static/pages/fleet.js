import { get, me, say } from "../api.js";
import { h, painted, state } from "../dom.js";
import { ago, number } from "../format.js";
import { go } from "../app.js";
import { lateness, travel } from "../travel.js";
import { inUnit, unitOf } from "../units.js";
import { zoneEditor } from "../zones.js";

const REFRESH_MS = 2000;
const MANY = 500;
const LIST_MS = 5000;
const ORDER = { moving: 0, idle: 1, stopped: 2, silent: 3 };

export async function fleet(page) {
  const query = new URLSearchParams(location.search);
  const early = query.get("at") ? Promise.resolve() : get("/fleet");
  early.catch(() => {}); // told where it is waited for
  const who = await me();
  const mayPast = who.role === "operator"; // where trucks were is for operators
  const everyMs = who.poll_seconds ? who.poll_seconds * 1000 : REFRESH_MS;
  let at = mayPast ? query.get("at") : null, knownThen = Boolean(query.get("known_at"));
  const first = query.get("at") && !at ? get("/fleet") : early;
  first.catch(() => {});
  const list = h("ul");
  const counts = h("p", { class: "quiet", role: "status" });
  const search = h("input", { type: "search", placeholder: "Find a truck", "aria-label": "Find a truck", oninput: () => drawList() });
  const choice = (label) => h("select", { "aria-label": label, hidden: true, onchange: () => draw() });
  const choices = { group: choice("Group"), depot: choice("Depot") }; // field of the register → what chooses by it
  const called = new Map(); // truck_id → what the register calls it
  const box = h("div", { class: "map", role: "application", "aria-label": "Map of the fleet" });
  const zones = zoneEditor(() => map && {
    pick: (onPlace, onEnd) => places.pick(map, onPlace, onEnd),
    sketch: (corners) => places.whenLoaded(map, () => places.drawSketch(map, corners)),
    redraw: (all) => places.whenLoaded(map, () => places.drawZones(map, all)),
  });
  page.replaceChildren(h("div", { class: "fleet" },
    h("section", { class: "side", "aria-label": "Trucks" }, h("div", { class: "top" }, h("h1", {}, "Fleet"), search, ...Object.values(choices), counts, zones.box), list),
    h("div", { class: "mapbox" }, box, mayPast ? travel(goTo, at, knownThen) : null)));
  const items = new Map(); // truck_id → its line in the list
  let map = null, places = null; // the map, and the module that draws on it: after the list, since it takes a second
  let rows = [], fitted = false, listDue = 0, timer = 0, stopped = false;

  // changed: only these rows are new to the map; all of them where it is left out.
  function draw(changed) {
    drawCounts();
    // Of a large fleet the list is made anew every few seconds: what moves each second is the map.
    if (!changed?.length || rows.length < MANY || performance.now() > listDue) drawList();
    drawMap(changed);
  }

  function drawCounts() {
    const tally = { moving: 0, idle: 0, stopped: 0, silent: 0 };
    const those = shown();
    for (const row of those) tally[row.state] += 1;
    const of = (name) => tally[name];
    counts.textContent = rows.length ? `${those.length} trucks: ${of("moving")} moving, ${of("idle")} idle, ${of("stopped")} stopped, ${of("silent")} silent` : "";
  }

  function drawList() {
    listDue = performance.now() + LIST_MS;
    const words = search.value.trim().toLowerCase();
    const found = shown().filter((row) => names(row).includes(words))
      .sort((a, b) => Boolean(b.attention) - Boolean(a.attention) || ORDER[a.state] - ORDER[b.state] || (a.truck_id < b.truck_id ? -1 : 1));
    const none = words ? "No truck has that name." : ["No trucks yet. Start some with ", h("code", {}, "milepost up --trucks 5"), "."];
    const nodes = found.length ? found.slice(0, 300).map(item) : [h("li", {}, h("p", { class: "empty", style: "padding:12px" }, none))];
    // A node that stays keeps the focus, and a click that began on it; one that moves is given the focus back.
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    if (nodes.length !== list.children.length || nodes.some((node, place) => node !== list.children[place])) list.replaceChildren(...nodes);
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  function drawMap(changed) {
    if (!map) return;
    places.whenLoaded(map, () => {
      const source = map.getSource("trucks");
      if (changed && fitted) source.updateData({ add: places.truckFeatures(changed.filter(isShown)).features, remove: changed.filter((row) => row.latitude === null).map((row) => row.truck_id) });
      else source.setData(places.truckFeatures(shown()));
      if (!fitted && rows.length) {
        places.fit(map, rows.filter((row) => row.latitude !== null).map((row) => [row.longitude, row.latitude]));
        fitted = true;
      }
    });
  }

  const fields = Object.keys(choices);
  const isShown = (row) => fields.every((field) => !choices[field].value || called.get(row.truck_id)?.[field] === choices[field].value);
  const shown = () => (fields.some((field) => choices[field].value) ? rows.filter(isShown) : rows);
  const names = (row) => [row.truck_id, called.get(row.truck_id)?.plate, called.get(row.truck_id)?.name].join(" ").toLowerCase();

  // Plates, names, groups and depots of the register: a truck that it does not know is shown all the same.
  async function callThem() {
    for (const each of await get("/vehicles")) called.set(each.truck_id, each);
    for (const [field, each] of Object.entries(choices)) {
      const found = [...new Set([...called.values()].map((row) => row[field]).filter(Boolean))].sort();
      each.replaceChildren(h("option", { value: "" }, `All ${field}s`), ...found.map((name) => h("option", { value: name }, name)));
      each.hidden = !found.length;
    }
    if (!stopped) drawList();
  }

  function item(row) {
    const moment = at ? new Date(at) : Date.now();
    const late = lateness(row.sampled_at, row.received_at);
    const node = items.get(row.truck_id) || h("li", {}, h("a", {}));
    items.set(row.truck_id, node);
    node.firstChild.setAttribute("href", `/truck/${encodeURIComponent(row.truck_id)}${at ? `?at=${at}${knownThen ? `&known_at=${at}` : ""}` : ""}`);
    node.firstChild.replaceChildren(h("b", {}, row.truck_id, called.get(row.truck_id)?.plate ? h("span", { class: "plate" }, ` ${called.get(row.truck_id).plate}`) : null), state(row),
      h("small", {}, row.attention ? h("span", { class: "care" }, `⚠ ${row.attention} · `) : null, late ? h("span", { class: "care" }, `${late} · `) : null,
        `${number(inUnit("speed", row.speed_kmh))} ${unitOf("speed")} · fuel ${number(row.fuel_level)} % · ${ago(row.sampled_at, moment)}`));
    return node;
  }

  // Now: everything once, then only what changed, by an open stream, or by asking where none is to be had.
  let cursor = "", stream = null, known = new Map(), attempts = at ? 1 : 0;

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
        const asked = [at, knownThen];
        const found = await get(`/fleet?at=${encodeURIComponent(at)}${knownThen ? `&known_at=${encodeURIComponent(at)}` : ""}`);
        if (asked[0] !== at || asked[1] !== knownThen || stopped) return;
        rows = found.trucks;
        draw();
        return;
      }
      if (!cursor) take({ whole: true, ...(await (attempts++ ? get("/fleet") : first)) });
      else take(await get(`/changes?since=${cursor}`));
      if (!stream && !stopped && !who.poll_seconds) listen();
    } catch (error) {
      counts.textContent = error.message;
    }
    if (!stopped && !at && !stream) timer = setTimeout(refresh, everyMs);
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

  function goTo(instant, asKnownThen) {
    [at, knownThen] = [instant, asKnownThen];
    history.replaceState(null, "", at ? `/?at=${at}${knownThen ? `&known_at=${at}` : ""}` : "/");
    if (!at && stream) {
      rows = [...known.values()];
      draw();
    } else refresh();
  }

  async function showMap() {
    await painted();
    const module = await import("../map.js");
    if (stopped) return;
    places = module;
    map = places.openMap(box, (truckId) => go(`/truck/${encodeURIComponent(truckId)}`));
    drawMap();
  }

  await refresh();
  callThem().catch(() => {}); // without it trucks have their ids
  showMap();
  return () => { stopped = true; clearTimeout(timer); stream?.close(); zones.end(); map?.remove(); };
}
