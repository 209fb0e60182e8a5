import { get } from "./api.js";
import { number } from "./format.js";
import maplibre from "./maplibre.js";
import { inUnit, unitOf } from "./units.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const loaded = new WeakSet();
const picking = new WeakSet(); // maps whose clicks are corners now
const zoneLabels = new WeakMap();
const STATES = ["moving", "idle", "stopped", "silent"];

// A map of land, borders and the larger cities, all from this machine; of streets where a setting names their source.
// Zones are drawn on each, a plan where a page has one.
export function openMap(container, onTruck) {
  const map = new maplibre.Map({
    container,
    style: {
      version: 8,
      sources: {
        land: { type: "geojson", data: "/static/basemap/land.geojson", attribution: "Natural Earth · GeoNames" },
        borders: { type: "geojson", data: "/static/basemap/borders.geojson" },
        zones: { type: "geojson", data: empty() },
        sketch: { type: "geojson", data: empty() },
        plan: { type: "geojson", data: empty() },
        trail: { type: "geojson", data: empty() },
        trucks: { type: "geojson", data: empty(), promoteId: "truck_id" },
      },
      layers: [
        { id: "sea", type: "background", paint: { "background-color": css("--sea") } },
        { id: "land", type: "fill", source: "land", paint: { "fill-color": css("--land") } },
        { id: "borders", type: "line", source: "borders", paint: { "line-color": css("--border"), "line-width": 1 } },
        { id: "zones", type: "fill", source: "zones", paint: { "fill-color": css("--accent"), "fill-opacity": 0.12 } },
        { id: "zone-edges", type: "line", source: "zones", paint: { "line-color": css("--accent"), "line-width": 1.5, "line-dasharray": [3, 2] } },
        { id: "sketch", type: "line", source: "sketch", paint: { "line-color": css("--care"), "line-width": 2.5 } },
        { id: "sketch-corners", type: "circle", source: "sketch", paint: { "circle-radius": 4, "circle-color": css("--care") } },
        { id: "plan", type: "line", source: "plan", paint: { "line-color": css("--idle"), "line-width": 2, "line-dasharray": [2, 2] } },
        { id: "trail", type: "line", source: "trail", paint: { "line-color": css("--accent"), "line-width": 3 } },
        { id: "care", type: "circle", source: "trucks", filter: ["get", "care"], paint: { "circle-radius": 13, "circle-color": "transparent", "circle-stroke-color": css("--care"), "circle-stroke-width": 2.5 } },
        { id: "trucks", type: "circle", source: "trucks", paint: {
          "circle-radius": 8,
          "circle-color": ["match", ["get", "state"], ...STATES.slice(0, 3).flatMap((name) => [name, css(`--${name}`)]), css("--card")],
          "circle-stroke-color": ["match", ["get", "state"], "silent", css("--silent"), css("--card")],
          "circle-stroke-width": 2,
        } },
      ],
    },
    center: [10, 50], zoom: 3, attributionControl: { compact: true }, dragRotate: false,
  });
  map.once("load", () => loaded.add(map));
  map.on("render", () => delete container.dataset.drawn);
  map.on("idle", () => { container.dataset.drawn = "yes"; }); // for who takes pictures
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.on("click", "trucks", (event) => onTruck && !picking.has(map) && onTruck(event.features[0].properties.truck_id));
  map.on("mouseenter", "trucks", () => (map.getCanvas().style.cursor = "pointer"));
  map.on("mouseleave", "trucks", () => (map.getCanvas().style.cursor = ""));
  get("/map").then((known) => whenLoaded(map, () => {
    drawZones(map, known.zones);
    return known.streets ? drawStreets(map, known) : nameCities(map);
  })).catch(() => nameCities(map)); // a map without them is better than none
  return map;
}

export const empty = () => ({ type: "FeatureCollection", features: [] });

export function truckFeatures(rows) {
  return {
    type: "FeatureCollection",
    features: rows.filter((row) => row.latitude !== null).map((row) => ({
      type: "Feature",
      geometry: { type: "Point", coordinates: [row.longitude, row.latitude] },
      properties: { truck_id: row.truck_id, state: row.state, care: Boolean(row.attention) },
    })),
  };
}

export function fit(map, coordinates) {
  if (!coordinates.length) return;
  const bounds = coordinates.reduce((box, point) => box.extend(point), new maplibre.LngLatBounds(coordinates[0], coordinates[0]));
  const box = map.getContainer(), controls = box.parentElement.querySelector(".travel"); // they cover its lower edge
  const below = controls ? Math.min(box.clientHeight / 2, controls.offsetHeight + 60) : 60;
  map.fitBounds(bounds, { padding: { top: 60, left: 60, right: 60, bottom: below }, maxZoom: 11, animate: false });
}

// The style is loaded once. `isStyleLoaded` is false again while a source takes new data, and "load" never comes twice.
export function whenLoaded(map, act) {
  if (loaded.has(map)) act();
  else map.once("load", act);
}

export function drawZones(map, zones) {
  for (const old of zoneLabels.get(map) ?? []) old.remove();
  map.getSource("zones").setData({ type: "FeatureCollection", features: zones.map((zone) => ({ type: "Feature", properties: {}, geometry: { type: "MultiPolygon", coordinates: polygons(zone.rings) } })) });
  zoneLabels.set(map, zones.map((zone) => {
    const [longitude, latitude] = zone.rings[0].reduce((top, corner) => (corner[1] > top[1] ? corner : top));
    const limit = zone.speed_limit_kmh === null ? "" : `, ${number(inUnit("speed", zone.speed_limit_kmh))} ${unitOf("speed")}`;
    return label(map, `${zone.name}${limit}`, [longitude, latitude], "place zone", "bottom");
  }));
}

// A zone as it is being drawn: its corners, and the line around them.
export function drawSketch(map, corners) {
  const places = corners.filter((corner) => Array.isArray(corner) && corner.length === 2 && corner.every(Number.isFinite) && Math.abs(corner[1]) <= 90);
  const line = places.length > 1 ? [...places, places[0]] : [];
  map.getSource("sketch").setData({ type: "Feature", properties: {}, geometry: { type: "GeometryCollection", geometries: [{ type: "LineString", coordinates: line }, { type: "MultiPoint", coordinates: places }].filter((each) => each.coordinates.length) } });
}

// Clicks are places until what this gives is called; a double click is the end, not a zoom.
export function pick(map, onPlace, onEnd) {
  const click = (event) => event.originalEvent.detail < 2 && onPlace([event.lngLat.lng, event.lngLat.lat]);
  const twice = (event) => { event.preventDefault(); onEnd(); };
  picking.add(map);
  map.on("click", click);
  map.on("dblclick", twice);
  map.getCanvas().style.cursor = "crosshair";
  return () => {
    picking.delete(map);
    map.off("click", click);
    map.off("dblclick", twice);
    map.getCanvas().style.cursor = "";
  };
}

// A ring within another one is a hole in it.
function polygons(rings) {
  const found = [];
  for (const ring of rings) {
    const around = found.find(([outer]) => inside(outer, ring[0]));
    if (around) around.push(ring);
    else found.push([ring]);
  }
  return found;
}

function inside(ring, [x, y]) {
  return ring.slice(1).reduce((is, [toX, toY], index) => {
    const [fromX, fromY] = ring[index];
    return (fromY <= y) !== (toY <= y) && x < ((toX - fromX) * (y - fromY)) / (toY - fromY) + fromX ? !is : is;
  }, false);
}

// Below what is ours and above the land: raster tiles, or all layers of a style.
async function drawStreets(map, { streets, attribution }) {
  if (streets.includes("{z}")) {
    map.addSource("streets", { type: "raster", tiles: [streets], tileSize: 256, attribution });
    map.addLayer({ id: "streets", type: "raster", source: "streets" }, "zones");
    return;
  }
  const style = await (await fetch(streets)).json();
  if (style.glyphs) map.setGlyphs(style.glyphs);
  if (typeof style.sprite === "string") map.setSprite(style.sprite);
  for (const [name, source] of Object.entries(style.sources)) map.addSource(`streets ${name}`, attribution ? { ...source, attribution } : source);
  for (const layer of style.layers) map.addLayer({ ...layer, id: `streets ${layer.id}`, ...(layer.source ? { source: `streets ${layer.source}` } : {}) }, "zones");
}

function label(map, text, place, kind, anchor = "center", offset = [0, 0]) {
  const element = document.createElement("div");
  element.className = kind;
  element.textContent = text;
  element.setAttribute("aria-hidden", "true");
  return new maplibre.Marker({ element, anchor, offset }).setLngLat(place).addTo(map);
}

// A truck's stops in the order of its plan, with lines that know no streets; what came of each shows in its colour.
export function drawPlan(map, depot, stops, marks) {
  for (const mark of marks.splice(0)) mark.remove();
  const place = (each) => [each.longitude, each.latitude];
  const line = stops.length ? [depot, ...stops, depot].map(place) : [];
  map.getSource("plan").setData({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: line } });
  const there = Map.groupBy ? Map.groupBy(stops, (stop) => `${place(stop)}`) : new Map(stops.map((stop) => [stop, [stop]]));
  for (const some of there.values()) {
    const came = some.every((stop) => stop.state === "delivered") ? "done" : some.some((stop) => stop.done_at && stop.state !== "delivered") ? "undone" : "";
    marks.push(label(map, some.map((stop) => stop.stop_no).join(", "), place(some[0]), `stop ${came}`));
  }
  return line;
}

// The larger cities in view, as plain labels that no other label covers.
async function nameCities(map) {
  const cities = await (await fetch("/static/basemap/cities.json")).json();
  let labels = [];
  const draw = () => {
    for (const shown of labels) shown.remove();
    labels = [];
    const bounds = map.getBounds();
    const taken = [];
    for (const [name, longitude, latitude] of cities) {
      if (labels.length === 28) break;
      if (!bounds.contains([longitude, latitude])) continue;
      const spot = map.project([longitude, latitude]);
      if (taken.some((other) => Math.abs(other.x - spot.x) < 96 && Math.abs(other.y - spot.y) < 22)) continue;
      taken.push(spot);
      labels.push(label(map, name, [longitude, latitude], "place", "top", [0, 9])); // below a truck that stands there
    }
  };
  map.on("moveend", draw);
  whenLoaded(map, draw);
}
