import { get } from "../api.js";
import { h, table, tile } from "../dom.js";
import { ago, number, ranges, time } from "../format.js";
import { fit, openMap, whenLoaded } from "../map.js";
import uPlot from "../vendor/uPlot.esm.js";

const SIGNALS = [
  ["Speed, km/h", (sample) => sample.vehicle_speed ?? sample.gps_location.speed],
  ["Engine speed, rpm", (sample) => sample.engine_diagnostics.engine_rpm],
  ["Fuel level, %", (sample) => sample.engine_diagnostics.fuel_level],
  ["Engine temperature, °C", (sample) => sample.engine_diagnostics.engine_temperature],
  ["Oil pressure, psi", (sample) => sample.engine_diagnostics.oil_pressure],
  ["Battery, V", (sample) => sample.engine_diagnostics.battery_voltage],
];
const GAP_S = 180; // more than three missing samples: a gap is drawn as a gap

export async function truck(page, truckId) {
  const name = encodeURIComponent(truckId);
  const asked = new URLSearchParams(location.search);
  const known = await get(`/trucks/${name}`);
  const at = asked.get("at") || known.latest.sampled_at;
  const knownAt = asked.get("known_at");
  const from = new Date(new Date(at) - 6 * 3600000).toISOString();
  const [samples, history] = await Promise.all([
    get(`/trucks/${name}/signals?from=${from}&to=${at}`),
    get(`/trucks/${name}/history${knownAt ? `?known_at=${encodeURIComponent(knownAt)}` : ""}`),
  ]);
  const sample = samples.at(-1) || known.latest;
  const health = sample.vehicle_health_and_maintenance;
  const faults = health.active_faults;
  const box = h("div", { class: "map" });
  const plots = h("div", { class: "plots" });
  page.replaceChildren(h("div", { class: "page" },
    h("div", { class: "head" }, h("h1", {}, truckId), h("span", { class: "quiet" }, "last sample ", time(sample.sampled_at), ` (${ago(sample.sampled_at)}), time by ${sample.time_quality || "its producer"}`)),
    h("div", { class: "tiles" },
      tile(number(sample.vehicle_speed), "km/h"), tile(number(sample.engine_diagnostics.fuel_level, 1), "fuel, %"),
      tile(number(sample.odometer_reading), "km driven"), tile(number(sample.engine_diagnostics.engine_temperature), "engine, °C"),
      tile(health.brake_status || "–", "brakes", /need|worn|service|replace/i.test(health.brake_status || "")),
      tile(faults === null ? "unknown" : faults.length, "active faults", faults && faults.length)),
    h("section", { class: "card mapbox", style: "height:320px;padding:0" }, box),
    h("section", { class: "card" }, h("h2", {}, "Signals, six hours before ", time(at)), plots),
    versionCard(history.versions, at, knownAt),
    h("section", { class: "card" }, h("h2", {}, "Completeness"), table([
      { name: "stream", cell: (row) => row.stream_id }, { name: "received", number: true, cell: (row) => number(row.received) },
      { name: "missing", cell: (row) => ranges(row.holes) }, { name: "lost", cell: (row) => ranges(row.gone) },
      { name: "refused", number: true, cell: (row) => String(row.refused.length) },
    ], known.completeness, "This truck's samples have no numbers."))));
  const map = openMap(box);
  const trail = samples.map((each) => each.gps_location).filter((place) => place.latitude !== null).map((place) => [place.longitude, place.latitude]);
  whenLoaded(map, () => {
    map.getSource("trail").setData({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: trail } });
    const last = trail.at(-1);
    if (last) map.getSource("trucks").setData({ type: "Feature", geometry: { type: "Point", coordinates: last }, properties: { truck_id: truckId, state: "moving", care: Boolean(faults && faults.length) } });
    fit(map, trail);
  });
  const places = SIGNALS.map(([title]) => h("div", { class: "plot" }, h("h3", {}, title)));
  plots.append(...places);
  const drawn = SIGNALS.map(([, read], index) => plot(places[index], samples, read));
  return () => { map.remove(); for (const each of drawn) each && each.destroy(); };
}

function versionCard(versions, at, knownAt) {
  const shown = versions.slice(-12).reverse();
  const spans = versions.map((row) => new Date(row.effective_end_date || at) - new Date(row.effective_start_date));
  return h("section", { class: "card" },
    h("h2", {}, knownAt ? ["Versions as known at ", time(knownAt)] : "Versions: what was true from when until when"),
    h("div", { class: "versions", "aria-hidden": "true" }, spans.map((span) => h("i", { style: `flex:${Math.max(1, span)}` }))),
    h("div", { style: "height:10px" }),
    table([
      { name: "from", cell: (row) => time(row.effective_start_date) }, { name: "until", cell: (row) => (row.effective_end_date ? time(row.effective_end_date) : "now") },
      { name: "received", cell: (row) => time(row.load_timestamp) },
      { name: "brakes", cell: (row) => row.sample.vehicle_health_and_maintenance.brake_status },
      { name: "transmission", cell: (row) => row.sample.vehicle_health_and_maintenance.transmission_status },
      { name: "faults", cell: (row) => (row.sample.vehicle_health_and_maintenance.active_faults || []).map((fault) => `${fault.spn}/${fault.fmi}`).join(" ") },
    ], shown, "No versions yet."));
}

function plot(place, samples, read) {
  const times = [], values = [];
  for (const sample of samples) {
    const second = new Date(sample.sampled_at) / 1000;
    if (times.length && second - times.at(-1) > GAP_S) { times.push(times.at(-1) + 1); values.push(null); }
    times.push(second);
    values.push(read(sample));
  }
  if (!values.some((value) => value !== null)) { place.append(h("p", { class: "empty" }, "not measured")); return null; }
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return new uPlot({
    width: Math.max(200, place.clientWidth), height: 130, legend: { show: false }, cursor: { y: false },
    series: [{}, { stroke: css("--accent"), width: 1.6, spanGaps: false, points: { show: samples.length < 3 } }],
    axes: [axis, { ...axis, size: 46 }],
  }, [times, values], place);
}
