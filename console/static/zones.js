import { get, me, send } from "./api.js";
import { h } from "./dom.js";

// Operators draw, change and delete zones: by clicks on the map, or by the numbers of the corners.
// place: gives what draws on the map, once it is there.
export function zoneEditor(place) {
  const field = (name, attributes = {}) => h("input", { type: "text", "aria-label": name, placeholder: name, ...attributes });
  const which = h("select", { "aria-label": "Zone", onchange: () => choose() });
  const id = field("Id of the zone", { maxlength: 100 }), name = field("Name", { maxlength: 100 });
  const limit = field("Speed limit, km/h", { inputmode: "decimal" });
  const corners = h("textarea", { rows: 3, "aria-label": "Corners", oninput: () => sketch() });
  const says = h("p", { class: "quiet", role: "status" });
  const drawing = h("button", { type: "button", onclick: () => (stop ? stop() : draw()) }, "Draw on the map");
  const remove = h("button", { type: "button", onclick: () => tell(async () => {
    if (!confirm(`Delete the zone ${which.value}?`)) return "";
    await send("DELETE", path(which.value));
    return "Deleted.";
  }) }, "Delete");
  const form = h("form", { class: "zones", onsubmit: (event) => { event.preventDefault(); tell(save); } },
    which, id, name, limit, corners, h("div", {}, drawing, h("button", { type: "submit" }, "Save"), remove), says);
  const box = h("details", { hidden: true, ontoggle: () => box.open || stop?.() }, h("summary", {}, "Edit zones"), form);
  let zones = [], stop = null;

  const path = (zone) => `/zones/${encodeURIComponent(zone)}`;
  const chosen = () => zones.find((zone) => zone.id === which.value);
  const places = () => JSON.parse(`[${corners.value.trim()}]`);

  function list(known, now = "") {
    zones = known.zones;
    which.replaceChildren(h("option", { value: "" }, "A new zone"), ...zones.map((zone) => h("option", { value: zone.id }, zone.name)));
    which.value = zones.some((zone) => zone.id === now) ? now : "";
    choose();
  }

  function choose() {
    stop?.();
    const zone = chosen();
    id.hidden = Boolean(zone);
    remove.hidden = !zone;
    id.value = "";
    name.value = zone ? zone.name : "";
    limit.value = zone?.speed_limit_kmh ?? "";
    corners.value = zone && zone.rings.length === 1 ? zone.rings[0].slice(0, -1).map((corner) => JSON.stringify(corner)).join(", ") : "";
    corners.placeholder = zone && zone.rings.length > 1 ? "Several rings: they stay as they are" : "Corners: [longitude, latitude], …";
    says.textContent = "";
    sketch();
  }

  function sketch() {
    let shown = [];
    try { shown = places(); } catch { /* it is being typed */ }
    place()?.sketch(shown);
  }

  // Each click is a corner; Enter or a double click is the end, Escape takes it back.
  function draw() {
    const map = place();
    if (!map) return;
    const before = corners.value;
    corners.value = "";
    says.textContent = "Click the corners on the map. Enter or a double click ends it, Escape takes it back.";
    drawing.textContent = "End drawing";
    const release = map.pick(([longitude, latitude]) => {
      const last = `[${longitude.toFixed(6)}, ${latitude.toFixed(6)}]`;
      if (!corners.value.endsWith(last)) corners.value += `${corners.value && ", "}${last}`;
      sketch();
    }, () => stop?.());
    const key = (event) => {
      if (event.key === "Escape") corners.value = before;
      if (event.key === "Escape" || event.key === "Enter") { event.preventDefault(); stop(); }
    };
    document.addEventListener("keydown", key);
    stop = () => {
      stop = null;
      release();
      document.removeEventListener("keydown", key);
      drawing.textContent = "Draw on the map";
      says.textContent = corners.value && corners.value !== before ? "Save keeps it." : "";
      sketch();
    };
  }

  async function save() {
    const zone = which.value || id.value.trim();
    if (!zone) { id.focus(); throw new Error("Give the zone an id."); }
    const said = { name: name.value.trim() || zone, speed_limit_kmh: limit.value.trim() ? Number(limit.value) : null };
    if (corners.value.trim() || !chosen()) {
      try { said.corners = places(); } catch { throw new Error("Corners are [longitude, latitude], separated by commas."); }
    }
    if (!which.value && zones.some((each) => each.id === zone)) throw new Error(`There is a zone ${zone}: choose it above.`);
    await send("PUT", path(zone), said);
    return [zone, "Saved."];
  }

  async function tell(act) {
    stop?.();
    try {
      const done = await act();
      if (!done) return;
      const [now, text] = Array.isArray(done) ? done : ["", done];
      list(await get("/map"), now);
      place()?.redraw(zones);
      says.textContent = text;
    } catch (error) {
      says.textContent = error.message;
    }
  }

  Promise.all([me(), get("/map")]).then(([who, known]) => {
    list(known);
    box.hidden = !(who.role === "operator" && known.zones_editable);
  }).catch(() => {}); // the map says nothing of them either
  return { box, end: () => stop?.() };
}
