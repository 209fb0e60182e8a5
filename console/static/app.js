import { me, post } from "./api.js";
import { h } from "./dom.js";
import { alerts } from "./pages/alerts.js";
import { fleet } from "./pages/fleet.js";
import { orders } from "./pages/orders.js";
import { pipeline } from "./pages/pipeline.js";
import { shop } from "./pages/shop.js";
import { signIn } from "./pages/sign_in.js";
import { truck } from "./pages/truck.js";

const PAGES = [
  [/^\/(?:fleet)?$/, fleet, "Fleet"],
  [/^\/truck\/([^/]+)$/, truck, "Truck"],
  [/^\/shop$/, shop, "Shop"],
  [/^\/orders$/, orders, "Orders"],
  [/^\/pipeline$/, pipeline, "Pipeline"],
  [/^\/alerts$/, alerts, "Alerts"],
  [/^\/sign-in$/, signIn, "Sign in"],
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
if (location.pathname !== "/sign-in") {
  const who = await me().catch(() => null);
  if (who?.can_sign_out) {
    const out = h("button", { type: "button", onclick: async () => { await post("/sign-out"); location.assign("/sign-in"); } }, "Sign out");
    document.querySelector(".live").after(h("span", { class: "who" }, `${who.name} (${who.role})`, out));
  }
}
