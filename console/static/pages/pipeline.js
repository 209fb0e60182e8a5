import { get } from "../api.js";
import { files, h, table, tile } from "../dom.js";
import { ago, number, ranges, time } from "../format.js";

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
      found.health.failing ? h("p", { class: "care", role: "alert" }, `Not working: ${found.health.failing}`) : null,
      h("div", { class: "tiles" }, tile(number(received), "samples received"), tile(number(missing), "missing now"), tile(number(late), "of them only late"),
        tile(number(found.lost), "lost for certain", found.lost), tile(number(found.refused), "refused", found.refused), tile(number(found.health.queued ?? 0), "waiting to be written"),
        tile(found.health.last_commit_ms ? ago(found.health.last_commit_ms) : "–", "last stored")),
      h("section", { class: "card" }, h("h2", {}, "Streams of the trucks"), table([
        { name: "truck", cell: (row) => h("a", { href: `/truck/${encodeURIComponent(row.truck_id)}` }, row.truck_id) },
        { name: "stream", cell: (row) => row.stream_id }, { name: "received", number: true, cell: (row) => number(row.received) },
        { name: "highest number", number: true, cell: (row) => number(row.highest_seq) }, { name: "missing", cell: (row) => ranges(row.holes) },
        { name: "late", cell: (row) => ranges(row.late) }, { name: "lost", cell: (row) => ranges(row.gone) }, { name: "thinned", cell: (row) => ranges(row.thinned) },
      ], found.trucks, ["No truck has sent anything yet. Start some with ", h("code", {}, "milepost up --trucks 5"), ", or let your own in: docs/agent.md."])),
      h("section", { class: "card" }, h("h2", {}, "Doors, since the service was started"), table([
        { name: "door", cell: ([door]) => door }, { name: "now", cell: ([, now]) => now }, { name: "refused or lost", cell: ([, , gone]) => gone },
      ], doors(found.health), "This service tells nothing of its doors.")),
      found.refused ? h("section", { class: "card" }, h("h2", {}, `Refused, by door and field: the newest ${number(found.dead_letters.length)}`), table([
        { name: "door", cell: (row) => row.door }, { name: "field", cell: (row) => row.field }, { name: "records", number: true, cell: (row) => number(row.count) },
        { name: "newest", cell: (row) => time(row.newest) }, { name: "such as", cell: (row) => row.reason },
      ], byField(found.dead_letters), "")) : null,
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

// [door, what goes on, what was refused or lost], of the figures of a running service (/healthz); only of doors that it has.
function doors(health) {
  const rows = [];
  const of = (names, figures) => names.filter(([key]) => figures[key]).map(([key, name]) => `${number(figures[key])} ${name}`).join(", ");
  const gone = [["refused", "refused: no place"], ["evicted", "had to make room"], ["timed_out", "too slow"], ["exhausted", "times no descriptor left"]];
  for (const [key, name] of [["http", "HTTP: shop, console, samples"], ["enrollment", "HTTPS: trucks' certificates"]]) {
    const figures = health[key];
    if (figures) rows.push([name, `${number(figures.open)} of ${number(figures.limit)} connections`, of(gone, figures)]);
  }
  for (const session of ["live", "backlog"]) {
    if (!health.uplink) continue;
    const state = health.uplink[`${session}_connected`] ? "connected" : h("span", { class: "care" }, "not connected");
    rows.push([`MQTT, ${session === "live" ? "samples as they come" : "batches and reports"}`, h("span", {}, state, `, ${number(health.uplink[`${session}_unacknowledged`])} messages not stored yet`), session === "live" ? of([["broker_dropped", "dropped by the broker"]], health.uplink) : ""]);
  }
  if (health.broker) rows.push(["MQTT broker", health.broker.up ? "runs" : h("span", { class: "care" }, "does not run"), of([["restarts", "restarts"]], health.broker)]);
  for (const [key, count] of Object.entries(health.kafka || {})) {
    if (key.startsWith("lag_")) rows.push([`Kafka, ${key.slice(4)}`, `${number(count)} records wait`, ""]);
  }
  if (health.requests) rows.push(["Requests from elsewhere", "", of([["refused", "refused: not signed in"]], health.requests)]);
  if (health.clicks) rows.push(["The shop's tag", "", of(Object.keys(health.clicks).map((why) => [why, why.replaceAll("_", " ")]), health.clicks)]);
  return rows;
}

// How many records each door refused for each field; what came most stands first.
function byField(letters) {
  const found = new Map();
  for (const letter of letters) {
    const door = letter.source.split(":")[0], field = letter.field || "the whole record";
    const row = found.get(`${door} ${field}`) || { door, field, count: 0 };
    found.set(`${door} ${field}`, { ...row, count: row.count + 1, newest: letter.received_at, reason: letter.reason });
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}
