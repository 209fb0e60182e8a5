import { get, me, post } from "../api.js";
import { files, h, table, tile } from "../dom.js";
import { number, time } from "../format.js";

const REFRESH_MS = 5000;
const RANK = { critical: 0, warning: 1, info: 2 };

export async function alerts(page) {
  let timer = 0, stopped = false, most = 100, opened = new Set();
  const said = h("p", { class: "quiet", role: "status" });
  const who = await me();
  async function draw() {
    clearTimeout(timer);
    const found = await get(`/alerts?limit=${most}`);
    if (stopped) return;
    const going = found.alerts.filter((row) => !row.end).sort((a, b) => RANK[a.severity] - RANK[b.severity] || b.start.localeCompare(a.start));
    const over = found.alerts.filter((row) => row.end);
    const of = (severity) => going.filter((row) => row.severity === severity).length;
    const focused = document.activeElement?.id;
    page.replaceChildren(h("div", { class: "page" },
      h("h1", {}, "Alerts"), said,
      h("div", { class: "tiles" }, tile(number(of("critical")), "critical now", of("critical")), tile(number(of("warning")), "warnings now"),
        tile(number(of("info")), "for your information"), tile(number(going.filter((row) => row.acknowledged).length), "acknowledged")),
      h("section", { class: "card" }, h("h2", {}, "Going on"), rows(going, "Nothing needs anybody.")),
      h("section", { class: "card" }, h("h2", {}, "Over, newest first"), rows(over, "No alert is over yet. `milepost alerts rules` lists what is watched."),
        found.next ? h("p", {}, h("button", { type: "button", onclick: () => { most = Math.min(500, most + 100); draw(); } }, "Show more")) : null, files("/alerts?limit=500", ["csv", "xlsx"]))));
    if (focused) document.getElementById(focused)?.focus();
    timer = setTimeout(() => draw().catch(() => {}), REFRESH_MS);
  }
  const rows = (found, empty) => table([
    { name: "severity", cell: (row) => h("span", { class: `severity ${row.severity}` }, row.severity) },
    { name: "what", cell: what },
    { name: "about", cell: (row) => (["late_order", "dead_letters", "conversion", "quality"].includes(row.kind) ? row.subject : h("a", { href: `/truck/${encodeURIComponent(row.subject)}?at=${encodeURIComponent(row.end || row.samples.at(-1)?.[0] || row.start)}` }, row.subject)) },
    { name: "from", cell: (row) => time(row.start) }, { name: "until", cell: (row) => (row.end ? time(row.end) : "now") },
    { name: "acknowledged", cell: acknowledged },
  ], found, empty);
  function what(row) {
    const details = h("details", { open: opened.has(row.id), ontoggle: (event) => (event.target.open ? opened.add(row.id) : opened.delete(row.id)) },
      h("summary", {}, `${row.title}${row.evidence ? `: ${row.evidence}` : ""}`),
      row.samples.length ? h("ol", { class: "seen" }, row.samples.map(([at, value]) => h("li", {}, time(at), ` ${value}`))) : h("p", { class: "quiet" }, row.kind === "silent" ? ["Last heard ", time(row.start), ", while other trucks went on reporting."] : ""));
    return details;
  }
  function acknowledged(row) {
    if (row.acknowledged) return h("span", { title: row.acknowledged.at }, `by ${row.acknowledged.by}${row.acknowledged.note ? `: ${row.acknowledged.note}` : ""}`);
    if (who.role !== "operator" || row.end) return "";
    return h("button", { type: "button", id: `ack-${row.id}`, "aria-label": `Acknowledge ${row.title}, ${row.subject}`, onclick: async (event) => {
      event.target.disabled = true;
      try {
        await post(`/alerts/${row.id}/acknowledge`);
        said.textContent = `${row.subject}, ${row.title}: acknowledged.`;
        await draw();
      } catch (error) {
        said.textContent = error.message;
        event.target.disabled = false;
      }
    } }, "Acknowledge");
  }
  await draw();
  return () => { stopped = true; clearTimeout(timer); };
}
