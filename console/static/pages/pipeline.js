import { get } from "../api.js";
import { files, h, table, tile } from "../dom.js";
import { number, ranges, time } from "../format.js";

const REFRESH_MS = 5000;

export async function pipeline(page) {
  let timer = 0, stopped = false;
  async function draw() {
    const found = await get("/pipeline");
    if (stopped) return;
    const received = found.trucks.reduce((sum, row) => sum + row.received, 0);
    const count = (pairs) => pairs.reduce((sum, [a, b]) => sum + b - a + 1, 0);
    const missing = found.trucks.reduce((sum, row) => sum + count(row.holes), 0);
    const late = found.trucks.reduce((sum, row) => sum + count(row.late), 0);
    page.replaceChildren(h("div", { class: "page" },
      h("h1", {}, "Pipeline"),
      h("div", { class: "tiles" }, tile(number(received), "samples received"), tile(number(missing), "missing now"), tile(number(late), "of them only late"),
        tile(number(found.lost), "lost for certain", found.lost), tile(number(found.refused), "refused", found.refused), tile(number(found.health.queued ?? 0), "waiting to be written")),
      h("section", { class: "card" }, h("h2", {}, "Streams of the trucks"), table([
        { name: "truck", cell: (row) => h("a", { href: `/truck/${encodeURIComponent(row.truck_id)}` }, row.truck_id) },
        { name: "stream", cell: (row) => row.stream_id }, { name: "received", number: true, cell: (row) => number(row.received) },
        { name: "highest number", number: true, cell: (row) => number(row.highest_seq) }, { name: "missing", cell: (row) => ranges(row.holes) },
        { name: "late", cell: (row) => ranges(row.late) }, { name: "lost", cell: (row) => ranges(row.gone) }, { name: "thinned", cell: (row) => ranges(row.thinned) },
      ], found.trucks, "No truck has sent anything yet.")),
      h("section", { class: "card" }, h("h2", {}, "Refused, newest first"), table([
        { name: "received", cell: (row) => time(row.received_at) }, { name: "door", cell: (row) => row.source }, { name: "field", cell: (row) => row.field },
        { name: "reason", cell: (row) => row.reason },
      ], found.dead_letters.slice(-100).reverse(), "Nothing was refused."), found.refused ? files("/dead-letters?limit=500", ["csv", "xlsx"]) : null),
      h("p", {}, h("a", { href: "/runs" }, "Runs of the simulator"))));
    timer = setTimeout(() => draw().catch(() => {}), REFRESH_MS);
  }
  await draw();
  return () => { stopped = true; clearTimeout(timer); };
}
