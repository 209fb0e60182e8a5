// The viewer's units, kept in this browser. What the service sends is km/h, °C and psi.
const KINDS = {
  speed: { "km/h": (value) => value, mph: (value) => value / 1.609344 },
  distance: { km: (value) => value, mi: (value) => value / 1.609344 },
  temperature: { "°C": (value) => value, "°F": (value) => value * 1.8 + 32 },
  pressure: { psi: (value) => value, bar: (value) => value / 14.503774, kPa: (value) => value * 6.894757 },
};
const NAMES = { speed: "Speed", distance: "Distance", temperature: "Temperature", pressure: "Pressure" };

export function unitOf(kind) {
  const units = Object.keys(KINDS[kind]);
  let kept = null;
  try {
    kept = localStorage.getItem(`unit.${kind}`);
  } catch { /* a browser that keeps nothing: the first unit */ }
  return units.includes(kept) ? kept : units[0];
}

export const inUnit = (kind, value) => (value === null || value === undefined ? value : KINDS[kind][unitOf(kind)](value));

// Controls for all of them; `changed` is called after one was chosen.
export function chooser(h, changed) {
  return h("details", { class: "units" }, h("summary", {}, "Units"), h("div", { class: "card" }, Object.entries(KINDS).map(([kind, units]) =>
    h("label", {}, NAMES[kind], h("select", { onchange: (event) => {
      try {
        localStorage.setItem(`unit.${kind}`, event.target.value);
      } catch { /* not kept */ }
      changed();
    } }, Object.keys(units).map((unit) => h("option", { value: unit, selected: unit === unitOf(kind) }, unit)))))));
}
