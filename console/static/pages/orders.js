import { get, me } from "../api.js";
import { files, h, table, tile } from "../dom.js";
import { money, number, time } from "../format.js";

const OPEN = ["placed", "packed", "loaded", "failed"];
const AROUND_MS = 3600000; // a tour begins before its first stop and ends after its last

export async function orders(page) {
  const [rows, who] = await Promise.all([get("/orders"), me()]);
  const plans = who.role === "operator" ? await get("/plans") : []; // where customers live and trucks went
  const late = rows.filter((row) => row.promised_at && OPEN.includes(row.state) && row.promised_at < new Date().toISOString());
  const of = (state) => rows.filter((row) => row.state === state).length;
  const tours = h("section", { class: "card", "aria-label": "Route plans" });
  page.replaceChildren(h("div", { class: "page" },
    h("h1", {}, "Orders"),
    h("div", { class: "tiles" }, tile(number(rows.filter((row) => OPEN.includes(row.state)).length), "open"), tile(number(of("loaded")), "on a truck"),
      tile(number(of("delivered")), "delivered"), tile(number(late.length), "late", late.length)),
    who.role === "operator" ? tours : null,
    h("section", { class: "card" }, table([
      { name: "order", cell: (row) => row.order_id }, { name: "state", cell: (row) => row.state },
      { name: "customer", cell: (row) => row.customer_id }, { name: "total", number: true, cell: (row) => (row.total ? money(row.total, row.currency) : "") },
      { name: "truck", cell: (row) => (row.truck_id ? h("a", { href: `/truck/${encodeURIComponent(row.truck_id)}` }, row.truck_id) : "") },
      { name: "placed", cell: (row) => time(row.placed_at) }, { name: "promised", cell: (row) => time(row.promised_at) },
    ], rows, ["No orders yet. A shop posts them to ", h("code", {}, "/v1/orders"), "."]), rows.length ? files("/orders", ["csv", "xlsx"]) : null)));
  if (who.role !== "operator") return () => {};
  if (!plans.length) {
    tours.append(h("h2", {}, "Route plans"), h("p", { class: "empty" }, "No plan is kept. ", h("code", {}, "milepost routes plan FILE --save"), " keeps one, which is then compared with what was driven."));
    return () => {};
  }
  return showTours(tours, plans);
}

// A plan of a day, and of one of its trucks the stops and the way it drove.
async function showTours(tours, plans) {
  const places = await import("../map.js");
  const box = h("div", { class: "map", role: "application", "aria-label": "Map of the plan" });
  const days = h("select", { "aria-label": "Plan", onchange: () => choosePlan() }, plans.map((row) => h("option", { value: row.plan_id }, `${row.day}, version ${row.version}${row.in_force ? "" : " (superseded)"}`)));
  const trucks = h("select", { "aria-label": "Truck", onchange: () => chooseTruck() });
  const said = h("p", { class: "legend", role: "status" });
  const stops = h("div");
  tours.append(h("h2", {}, "Route plans"), h("div", { class: "controls" }, h("label", {}, "Plan", days), h("label", {}, "Truck", trucks)),
    h("div", { class: "mapbox plan-map" }, box), said, stops);
  const map = places.openMap(box);
  const marks = [];
  let plan = null, stopped = false;

  async function choosePlan() {
    const found = await get(`/plans/${days.value}`);
    if (stopped || found.plan_id !== days.value) return;
    plan = found;
    trucks.replaceChildren(...plan.trucks.map((each) => h("option", { value: each.truck_id }, each.truck_id)));
    await chooseTruck();
  }

  async function chooseTruck() {
    const route = plan.trucks.find((each) => each.truck_id === trucks.value);
    const from = new Date(new Date(route.stops[0].arrive_at) - AROUND_MS).toISOString();
    const to = new Date(Math.max(...route.stops.map((stop) => new Date(stop.done_at || stop.leave_at))) + AROUND_MS).toISOString();
    const samples = await get(`/trucks/${encodeURIComponent(route.truck_id)}/signals?from=${from}&to=${to}`).catch(() => []);
    if (stopped || route.truck_id !== trucks.value) return;
    const driven = samples.map((each) => each.gps_location).filter((place) => place.latitude !== null).map((place) => [place.longitude, place.latitude]);
    places.whenLoaded(map, () => {
      const planned = places.drawPlan(map, plan.depot, route.stops, marks);
      map.getSource("trail").setData({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: driven } });
      places.fit(map, [...planned, ...driven]);
    });
    said.textContent = `Dashed: the order of stops as planned, ${number(route.km, 1)} km. Full line: the way that was driven${driven.length ? "" : " (nothing was received of it)"}. Filled: delivered.`;
    stops.replaceChildren(table([
      { name: "stop", number: true, cell: (row) => String(row.stop_no) }, { name: "order", cell: (row) => row.order_id }, { name: "planned", cell: (row) => time(row.arrive_at) },
      { name: "done", cell: (row) => (row.done_at ? time(row.done_at) : "") }, { name: "against the plan", cell: (row) => (row.late_min === null ? "" : `${number(Math.abs(row.late_min))} min ${row.late_min < 0 ? "early" : "late"}`) },
      { name: "state", cell: (row) => row.state || "no such order" }, { name: "by", cell: (row) => (row.by && row.by !== route.truck_id ? h("span", { class: "care" }, row.by) : row.by) },
    ], route.stops, "This truck has no stop."));
  }

  await choosePlan();
  return () => { stopped = true; map.remove(); };
}
