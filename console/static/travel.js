import { h } from "./dom.js";

const MINUTES = 24 * 60;
const SETTLED_MS = 150; // a slider that is moved asks when it rests
const LATE_MS = 300000;

// The controls of time travel: a slider over the last day, a field for any instant before it, and whether what came
// later is left out. `changed(at, knownThen)` is called with an instant, or null for now.
export function travel(changed, begin = null, knownThen = false) {
  const slider = h("input", { type: "range", min: "0", max: String(MINUTES), "aria-label": "Past instant of the last day" });
  const field = h("input", { type: "datetime-local", step: "1", "aria-label": "Any past instant", title: "Any past instant, in your zone" });
  const known = h("input", { type: "checkbox" });
  known.checked = knownThen;
  const now = h("button", { type: "button", onclick: () => choose(null) }, "Now");
  const choose = (at) => { show(at); changed(at, known.checked); };
  let timer = 0;
  slider.oninput = () => {
    const back = MINUTES - Number(slider.value);
    const at = back ? new Date(Date.now() - back * 60000).toISOString() : null;
    show(at);
    clearTimeout(timer);
    timer = setTimeout(() => choose(at), SETTLED_MS);
  };
  field.onchange = () => choose(field.value ? new Date(field.value).toISOString() : null);
  known.onchange = () => field.value && choose(new Date(field.value).toISOString());

  function show(at) {
    const back = at ? (Date.now() - new Date(at)) / 60000 : 0;
    slider.value = String(Math.max(0, Math.round(MINUTES - back)));
    slider.setAttribute("aria-valuetext", at ? new Date(at).toLocaleString() : "now");
    if (document.activeElement !== field) field.value = at ? inZone(at) : "";
    known.disabled = !at;
  }
  show(begin);
  return h("div", { class: "travel", role: "group", "aria-label": "Time travel" }, slider, field,
    h("label", { title: "Without what was received after that instant" }, known, " as known then"), now);
}

// As a field for date and time takes it: the viewer's zone.
function inZone(at) {
  const moment = new Date(at);
  return new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

// How late something came, in words; nothing for what came within five minutes.
export function lateness(sampled, received) {
  const late = new Date(received) - new Date(sampled);
  if (!(late > LATE_MS)) return null;
  const minutes = Math.round(late / 60000);
  return minutes < 90 ? `${minutes} min late` : minutes < 2880 ? `${Math.round(minutes / 60)} h late` : `${Math.round(minutes / 1440)} days late`;
}
