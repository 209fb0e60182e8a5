// MapLibre finds its worker beside itself only when it is told where.
import * as maplibre from "./vendor/maplibre-gl.mjs";

maplibre.setWorkerUrl("/static/vendor/maplibre-gl-worker.mjs");
export default maplibre;
