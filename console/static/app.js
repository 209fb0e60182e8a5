import { h } from "./dom.js";
import { fleet } from "./pages/fleet.js";
import { orders } from "./pages/orders.js";
import { pipeline } from "./pages/pipeline.js";
import { shop } from "./pages/shop.js";
import { truck } from "./pages/truck.js";

const PAGES = [
  [/^\/(?:fleet)?$/, fleet, "Fleet"],
  [/^\/truck\/([^/]+)$/, truck, "Truck"],
  [/^\/shop$/, shop, "Shop"],
  [/^\/orders$/, orders, "Orders"],
  [/^\/pipeline$/, pipeline, "Pipeline"],
];
const page = document.getElementById("page");
let leave = null;

async function show() {
  if (leave) leave();
  leave = null;
  const found = PAGES.map(([pattern, open, name]) => [location.pathname.match(pattern), open, name]).find(([match]) => match);
  for (const link of document.querySelectorAll("nav a")) {
    const path = link.getAttribute("href");
    const here = path === "/" ? /^\/($|fleet|truck)/.test(location.pathname) : location.pathname.startsWith(path);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!found) return page.replaceChildren(h("div", { class: "page" }, h("h1", {}, "No such page"), h("p", {}, h("a", { href: "/" }, "To the fleet"))));
  const [match, open, name] = found;
  document.title = `${match[1] ? decodeURIComponent(match[1]) : name} · Milepost`;
  try {
    leave = await open(page, match[1] && decodeURIComponent(match[1]));
  } catch (error) {
    page.replaceChildren(h("div", { class: "page" }, h("h1", {}, name), h("p", { class: "care" }, error.message)));
  }
}

export function go(path) {
  history.pushState(null, "", path);
  show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || link.origin !== location.origin || link.hash) return;
  event.preventDefault();
  go(link.href);
  page.focus({ preventScroll: true });
});
addEventListener("popstate", show);
show();
