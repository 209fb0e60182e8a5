import { get, me } from "../api.js";
import { files, h, table, tile } from "../dom.js";
import { ago, number, ranges, time } from "../format.js";
import { fit, openMap, whenLoaded } from "../map.js";
import { go } from "../app.js";
import { lateness, travel } from "../travel.js";
import { inUnit, unitOf } from "../units.js";
import uPlot from "../vendor/uPlot.esm.js";

const signals = () => [
  [`Speed, ${unitOf("speed")}`, (sample) => inUnit("speed", sample.vehicle_speed ?? sample.gps_location.speed)],
  ["Engine speed, rpm", (sample) => sample.engine_diagnostics.engine_rpm],
  ["Fuel level, %", (sample) => sample.engine_diagnostics.fuel_level],
  [`Engine temperature, ${unitOf("temperature")}`, (sample) => inUnit("temperature", sample.engine_diagnostics.engine_temperature)],
  [`Oil pressure, ${unitOf("pressure")}`, (sample) => inUnit("pressure", sample.engine_diagnostics.oil_pressure)],
  ["Battery, V", (sample) => sample.engine_diagnostics.battery_voltage],
];
// The unit of each field of the wire: docs/wire.md.
const UNITS = {
  "gps_location.latitude": "°", "gps_location.longitude": "°", "gps_location.altitude": "m", "gps_location.speed": "speed",
  vehicle_speed: "speed", odometer_reading: "distance", fuel_consumption: "L/h",
  "engine_diagnostics.engine_rpm": "rpm", "engine_diagnostics.fuel_level": "%", "engine_diagnostics.engine_temperature": "temperature",
  "engine_diagnostics.oil_pressure": "pressure", "engine_diagnostics.battery_voltage": "V",
  "environmental_conditions.temperature": "temperature", "environmental_conditions.humidity": "%", "environmental_conditions.atmospheric_pressure": "hPa",
};
const CHOSEN = ["speed", "distance", "temperature", "pressure"];
const GAP_S = 180; // more than three missing samples: a gap is drawn as a gap

export async function truck(page, truckId) {
  const name = encodeURIComponent(truckId);
  const asked = new URLSearchParams(location.search);
  const [known, who] = await Promise.all([get(`/trucks/${name}`).catch((error) => error), me()]);
  if (known instanceof Error) {
    if (known.status !== 404) throw known;
    page.replaceChildren(nothingYet(truckId));
    return () => {};
  }
  const mayPast = who.role === "operator"; // where a truck was is for operators: others see it as it is
  const instant = (text) => (text && mayPast ? new Date(text).toISOString() : null); // in any zone and form
  const at = instant(asked.get("at")) || known.latest.sampled_at;
  const knownAt = instant(asked.get("known_at"));
  const from = new Date(new Date(at) - 6 * 3600000).toISOString();
  const [all, history, then] = mayPast ? await Promise.all([
    get(`/trucks/${name}/signals?from=${from}&to=${at}`),
    get(`/trucks/${name}/history`),
    knownAt ? get(`/trucks/${name}/history?known_at=${encodeURIComponent(knownAt)}`) : null,
  ]) : [[known.latest], null, null];
  const samples = knownAt ? all.filter((each) => each.received_at <= knownAt) : all;
  const late = samples.filter((each) => lateness(each.sampled_at, each.received_at)).length;
  const marked = 2 * late <= samples.length; // marks on nearly all say nothing and hide the line
  const sample = samples.at(-1) || known.latest;
  const health = sample.vehicle_health_and_maintenance;
  const faults = health.active_faults;
  const said = faults?.length ? await get(`/fault-texts?codes=${faults.map((fault) => `${fault.spn}/${fault.fmi}`).join(",")}`) : {};
  const box = h("div", { class: "map" });
  const plots = h("div", { class: "plots" });
  page.replaceChildren(h("div", { class: "page" },
    h("div", { class: "head" }, h("h1", {}, truckId), h("span", { class: "quiet" }, "last sample ", time(sample.sampled_at), ` (${ago(sample.sampled_at)}), time by ${sample.time_quality || "its producer"}`)),
    h("div", { class: "tiles" },
      tile(number(inUnit("speed", sample.vehicle_speed)), unitOf("speed")), tile(number(sample.engine_diagnostics.fuel_level, 1), "fuel, %"),
      tile(number(inUnit("distance", sample.odometer_reading)), `${unitOf("distance")} driven`), tile(number(inUnit("temperature", sample.engine_diagnostics.engine_temperature)), `engine, ${unitOf("temperature")}`),
      tile(health.brake_status || "–", "brakes", known.service_words.brakes.some((word) => health.brake_status?.toLowerCase().includes(word))),
      tile(faults === null ? "unknown" : faults.length, "active faults", faults && faults.length)),
    faults?.length ? h("section", { class: "card" }, h("h2", {}, "Active faults"), table([
      { name: "code", cell: (fault) => `${fault.spn}/${fault.fmi}` }, { name: "in words", cell: (fault) => said[`${fault.spn}/${fault.fmi}`] },
      { name: "times", number: true, cell: (fault) => number(fault.count) }, { name: "controller", number: true, cell: (fault) => number(fault.source) },
    ], faults, "None.")) : null,
    h("section", { class: "card mapbox", style: "height:380px;padding:0" }, box, mayPast ? travel(goTo, asked.get("at") && at, Boolean(knownAt)) : null),
    mayPast ? h("section", { class: "card" }, h("h2", {}, "Signals, six hours before ", time(at)),
      late ? h("p", { class: "quiet" }, `${number(late)} of ${number(samples.length)} samples came over five minutes late: ${marked ? "hollow points" : "most, so no point is marked"}.`) : null, plots, files(`/trucks/${name}/track?from=${from}&to=${at}`, ["gpx", "kml", "csv", "xlsx"]))
      : h("p", { class: "quiet" }, `You are signed in as a ${who.role}: where this truck was before, its signals, versions and trips are for operators.`),
    h("section", { class: "card" }, h("h2", {}, "Everything this sample says"), table([
      { name: "field", cell: ([field]) => field }, { name: "value", number: true, cell: ([field, value]) => valueOf(field, value) },
      { name: "unit", cell: ([field]) => unitName(field) }, { name: "why it is null", cell: ([field, , why]) => why },
    ], fieldsOf(sample), "Nothing.")),
    mayPast ? h("section", { class: "card" }, h("h2", {}, "Trips, stops and fuel of the last 30 days"), h("p", { class: "quiet" }, "From the marts: ", h("code", {}, "milepost warehouse build"), " makes them."),
      ["trips", "stops", "fuel"].map((kind) => martRows(`/trucks/${name}/${kind}`, kind))) : null,
    !mayPast ? null : knownAt ? h("div", { class: "two" }, versionCard(then.versions, at, ["As known at ", time(knownAt)]), versionCard(history.versions, at, "As known now"))
      : versionCard(history.versions, at, "Versions: what was true from when until when"),
    h("section", { class: "card" }, h("h2", {}, "Completeness"), table([
      { name: "stream", cell: (row) => row.stream_id }, { name: "received", number: true, cell: (row) => number(row.received) },
      { name: "missing", cell: (row) => ranges(row.holes) }, { name: "lost", cell: (row) => ranges(row.gone) },
      { name: "refused", number: true, cell: (row) => String(row.refused.length) },
    ], known.completeness, "This truck's samples have no numbers."))));
  async function goTo(instant, knownThen) {
    const slid = document.activeElement?.type === "range";
    await go(`/truck/${name}${instant ? `?at=${instant}${knownThen ? `&known_at=${instant}` : ""}` : ""}`);
    if (slid) page.querySelector("[type=range]")?.focus();
  }
  const map = openMap(box);
  const trail = samples.map((each) => each.gps_location).filter((place) => place.latitude !== null).map((place) => [place.longitude, place.latitude]);
  whenLoaded(map, () => {
    map.getSource("trail").setData({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: trail } });
    const last = trail.at(-1);
    if (last) map.getSource("trucks").setData({ type: "Feature", geometry: { type: "Point", coordinates: last }, properties: { truck_id: truckId, state: "moving", care: Boolean(faults && faults.length) } });
    fit(map, trail);
  });
  const shown = signals();
  const places = shown.map(([title]) => h("div", { class: "plot" }, h("h3", {}, title)));
  plots.append(...places);
  const drawn = shown.map(([, read], index) => plot(places[index], samples, read, marked));
  return () => { map.remove(); for (const each of drawn) each && each.destroy(); };
}

// What to do where nothing came of a truck: it is new, or it is called otherwise.
function nothingYet(truckId) {
  return h("div", { class: "page" }, h("h1", {}, truckId), h("section", { class: "card" },
    h("p", {}, "No sample of this truck has come yet."),
    h("ul", {}, h("li", {}, "Is it called so? ", h("a", { href: "/" }, "All trucks"), " have come under the names that they send."),
      h("li", {}, "Is it new? ", h("code", {}, `milepost provision truck add ${truckId.slice(0, 40)}`), " lets it in; its gateway then enrols and starts (docs/agent.md), and ", h("code", {}, "milepost agent doctor"), " on it says what is missing."),
      h("li", {}, "Was it refused? ", h("a", { href: "/pipeline" }, "Pipeline"), " lists what doors refused, and why."),
      h("li", {}, "Only looking? ", h("code", {}, "milepost up --trucks 5"), " starts simulated ones."))));
}

// A mart's rows of this truck, asked for when somebody opens them: there may be no warehouse.
function martRows(path, kind) {
  const place = h("div");
  let asked = false;
  const open = async (event) => {
    if (!event.target.open || asked) return;
    asked = true;
    try {
      const rows = [...(await get(path))].reverse(); // newest first
      const names = Object.keys(rows[0] || {}).filter((name) => name !== "truck_id" && rows.some((row) => row[name] !== null));
      place.replaceChildren(h("div", { style: "overflow-x:auto" }, table(names.map((name) => ({ name: name.replaceAll("_", " "), number: typeof rows[0][name] === "number", cell: (row) => (typeof row[name] === "number" ? number(row[name], /latitude|longitude/.test(name) ? 4 : 1) : /T.*Z$/.test(row[name] ?? "") ? time(row[name]) : row[name] === null ? "" : String(row[name])) })),
        rows.slice(0, 50), `No ${kind} in the last 30 days.`)));
    } catch (error) {
      place.replaceChildren(h("p", { class: "empty" }, error.message));
      asked = false;
    }
  };
  return h("details", { ontoggle: open }, h("summary", {}, kind[0].toUpperCase() + kind.slice(1)), place, files(path, kind === "stops" ? ["csv", "xlsx", "gpx", "kml"] : ["csv", "xlsx"]));
}

// Every measured field of a sample as [field, value, why it is null], groups opened.
function fieldsOf(sample) {
  const quality = sample.quality || {};
  const open = (value, name) => (value && typeof value === "object" && !Array.isArray(value) ? Object.entries(value).flatMap(([key, inner]) => open(inner, name ? `${name}.${key}` : key)) : [[name, value, value === null ? quality[name] || quality[name.split(".")[0]] || "" : ""]]);
  const { quality: _, ...rest } = sample;
  return open(rest, "");
}

const kindOf = (field) => UNITS[field] || (field.startsWith("vehicle_health_and_maintenance.tire_pressure.") ? "pressure" : "");
const unitName = (field) => (CHOSEN.includes(kindOf(field)) ? unitOf(kindOf(field)) : kindOf(field));

function valueOf(field, value) {
  if (typeof value === "number") return number(CHOSEN.includes(kindOf(field)) ? inUnit(kindOf(field), value) : value, kindOf(field) === "°" ? 6 : 2);
  if (/(_at|^at|first|last)$/.test(field) && typeof value === "string" && value.endsWith("Z")) return time(value);
  return Array.isArray(value) ? (value.length ? JSON.stringify(value) : "none") : value;
}

function versionCard(versions, at, heading) {
  const begun = versions.filter((row) => row.effective_start_date <= at);
  const shown = begun.slice(-12).reverse();
  const holds = (row) => row === begun.at(-1) && !(row.effective_end_date && row.effective_end_date <= at);
  const spans = begun.map((row) => new Date(row.effective_end_date || at) - new Date(row.effective_start_date));
  return h("section", { class: "card" },
    h("h2", {}, heading),
    h("div", { class: "versions", "aria-hidden": "true" }, spans.map((span) => h("i", { style: `flex:${Math.max(1, span)}` }))),
    h("div", { style: "height:10px" }),
    table([
      { name: "from", cell: (row) => time(row.effective_start_date) }, { name: "until", cell: (row) => (row.effective_end_date ? time(row.effective_end_date) : "now") },
      { name: "received", cell: (row) => h("span", {}, time(row.load_timestamp), h("span", { class: "care" }, ` ${lateness(row.effective_start_date, row.load_timestamp) || ""}`)) },
      { name: "brakes", cell: (row) => row.sample.vehicle_health_and_maintenance.brake_status },
      { name: "transmission", cell: (row) => row.sample.vehicle_health_and_maintenance.transmission_status },
      { name: "faults", cell: (row) => (row.sample.vehicle_health_and_maintenance.active_faults || []).map((fault) => `${fault.spn}/${fault.fmi}`).join(" ") },
    ], shown, "No versions by then.", holds));
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function plot(place, samples, read, marked) {
  const times = [], values = [], late = [];
  for (const sample of samples) {
    const second = new Date(sample.sampled_at) / 1000;
    if (times.length && second - times.at(-1) > GAP_S) { times.push(times.at(-1) + 1); values.push(null); late.push(null); }
    times.push(second);
    values.push(read(sample));
    late.push(marked && lateness(sample.sampled_at, sample.received_at) ? values.at(-1) : null);
  }
  if (!values.some((value) => value !== null)) { place.append(h("p", { class: "empty" }, "not measured")); return null; }
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return new uPlot({
    width: Math.max(200, place.clientWidth), height: 130, legend: { show: false }, cursor: { y: false },
    series: [{}, { stroke: css("--accent"), width: 1.6, spanGaps: false, points: { show: samples.length < 3 } },
      { stroke: css("--care"), width: 0, spanGaps: false, points: { show: true, size: 6, stroke: css("--care"), fill: css("--card") } }],
    axes: [{ ...axis, space: 70, values: (_, instants) => instants.map((second) => clock.format(new Date(second * 1000))) }, { ...axis, size: 46 }],
  }, [times, values, late], place);
}
