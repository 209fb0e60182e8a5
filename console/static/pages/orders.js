import { get } from "../api.js";
import { files, h, table, tile } from "../dom.js";
import { money, number, time } from "../format.js";

const OPEN = ["placed", "packed", "loaded", "failed"];

export async function orders(page) {
  const rows = await get("/orders");
  const late = rows.filter((row) => row.promised_at && OPEN.includes(row.state) && row.promised_at < new Date().toISOString());
  const of = (state) => rows.filter((row) => row.state === state).length;
  page.replaceChildren(h("div", { class: "page" },
    h("h1", {}, "Orders"),
    h("div", { class: "tiles" }, tile(number(rows.filter((row) => OPEN.includes(row.state)).length), "open"), tile(number(of("loaded")), "on a truck"),
      tile(number(of("delivered")), "delivered"), tile(number(late.length), "late", late.length)),
    h("section", { class: "card" }, table([
      { name: "order", cell: (row) => row.order_id }, { name: "state", cell: (row) => row.state },
      { name: "customer", cell: (row) => row.customer_id }, { name: "total", number: true, cell: (row) => (row.total ? money(row.total, row.currency) : "") },
      { name: "truck", cell: (row) => (row.truck_id ? h("a", { href: `/truck/${encodeURIComponent(row.truck_id)}` }, row.truck_id) : "") },
      { name: "placed", cell: (row) => time(row.placed_at) }, { name: "promised", cell: (row) => time(row.promised_at) },
    ], rows, ["No orders yet. A shop posts them to ", h("code", {}, "/v1/orders"), "."]), rows.length ? files("/orders", ["csv", "xlsx"]) : null)));
  return () => {};
}
