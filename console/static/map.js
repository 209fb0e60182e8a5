import maplibre from "./maplibre.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const loaded = new WeakSet();
const STATES = ["moving", "idle", "stopped", "silent"];

// A map of land, borders and the larger cities, all from this machine.
export function openMap(container, onTruck) {
  const map = new maplibre.Map({
    container,
    style: {
      version: 8,
      sources: {
        land: { type: "geojson", data: "/static/basemap/land.geojson", attribution: "Natural Earth · GeoNames" },
        borders: { type: "geojson", data: "/static/basemap/borders.geojson" },
        trail: { type: "geojson", data: empty() },
        trucks: { type: "geojson", data: empty(), promoteId: "truck_id" },
      },
      layers: [
        { id: "sea", type: "background", paint: { "background-color": css("--sea") } },
        { id: "land", type: "fill", source: "land", paint: { "fill-color": css("--land") } },
        { id: "borders", type: "line", source: "borders", paint: { "line-color": css("--border"), "line-width": 1 } },
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
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.on("click", "trucks", (event) => onTruck && onTruck(event.features[0].properties.truck_id));
  map.on("mouseenter", "trucks", () => (map.getCanvas().style.cursor = "pointer"));
  map.on("mouseleave", "trucks", () => (map.getCanvas().style.cursor = ""));
  nameCities(map);
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
  map.fitBounds(bounds, { padding: 70, maxZoom: 11, animate: false });
}

// The style is loaded once. `isStyleLoaded` is false again while a source takes new data, and "load" never comes twice.
export function whenLoaded(map, act) {
  if (loaded.has(map)) act();
  else map.once("load", act);
}

// The larger cities in view, as plain labels that no other label covers.
async function nameCities(map) {
  const cities = await (await fetch("/static/basemap/cities.json")).json();
  let labels = [];
  const draw = () => {
    for (const label of labels) label.remove();
    labels = [];
    const bounds = map.getBounds();
    const taken = [];
    for (const [name, longitude, latitude] of cities) {
      if (labels.length === 28) break;
      if (!bounds.contains([longitude, latitude])) continue;
      const spot = map.project([longitude, latitude]);
      if (taken.some((other) => Math.abs(other.x - spot.x) < 96 && Math.abs(other.y - spot.y) < 22)) continue;
      taken.push(spot);
      const element = document.createElement("div");
      element.className = "place";
      element.textContent = name;
      element.setAttribute("aria-hidden", "true");
      labels.push(new maplibre.Marker({ element, anchor: "center" }).setLngLat([longitude, latitude]).addTo(map));
    }
  };
  map.on("moveend", draw);
  whenLoaded(map, draw);
}
