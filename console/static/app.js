import { me, post } from "./api.js";
import { h } from "./dom.js";
import { chooser } from "./units.js";

// Each page is loaded when it is first asked for: the map's and the plots' libraries keep a browser busy for a second.
const PAGES = [
  [/^\/(?:fleet)?$/, async () => (await import("./pages/fleet.js")).fleet, "Fleet"],
  [/^\/truck\/([^/]+)$/, async () => (await import("./pages/truck.js")).truck, "Truck"],
  [/^\/shop$/, async () => (await import("./pages/shop.js")).shop, "Shop"],
  [/^\/orders$/, async () => (await import("./pages/orders.js")).orders, "Orders"],
  [/^\/pipeline$/, async () => (await import("./pages/pipeline.js")).pipeline, "Pipeline"],
  [/^\/alerts$/, async () => (await import("./pages/alerts.js")).alerts, "Alerts"],
  [/^\/sign-in$/, async () => (await import("./pages/sign_in.js")).signIn, "Sign in"],
];
const page = document.getElementById("page");
let leave = null, shows = 0, shownPath = "";

async function show() {
  const mine = ++shows;
  shownPath = location.pathname;
  if (leave) leave();
  leave = null;
  const found = PAGES.map(([pattern, open, name]) => [location.pathname.match(pattern), open, name]).find(([match]) => match);
  for (const link of document.querySelectorAll("nav a")) {
    const path = link.getAttribute("href");
    const here = path === "/" ? /^\/($|fleet|truck)/.test(location.pathname) : location.pathname.startsWith(path);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const subject = found && found[0][1] ? decoded(found[0][1]) : "";
  if (!found || subject === null) return page.replaceChildren(h("div", { class: "page" }, h("h1", {}, "No such page"), h("p", {}, h("a", { href: "/" }, "To the fleet"))));
  const [, load, name] = found;
  document.title = `${subject || name} · Milepost`;
  try {
    const open = await load();
    if (mine !== shows) return; // somebody went on while it was loaded
    const close = await open(page, subject || undefined);
    if (mine === shows) leave = close;
    else if (close) close();
  } catch (error) {
    if (mine !== shows) return;
    page.replaceChildren(h("div", { class: "page" }, h("h1", {}, name), h("p", { class: "care" }, error.message)));
  }
}

/** What an address says; null where it cannot be read, as a % that stands for nothing. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export function go(path) {
  history.pushState(null, "", path);
  return show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || link.hasAttribute("download") || event.metaKey || event.ctrlKey || event.shiftKey || link.origin !== location.origin || link.hash) return;
  event.preventDefault();
  go(link.href);
  page.focus({ preventScroll: true });
});
addEventListener("popstate", () => {
  if (location.hash && location.pathname === shownPath) return; // a jump within the page, as the skip link makes
  show();
});
document.querySelector(".live").after(chooser(h, show));
show();
if (location.pathname !== "/sign-in") {
  me().then((who) => { // not waited for at the top: the pages' modules wait until this one has ended
    if (!who.can_sign_out) return;
    const out = h("button", { type: "button", onclick: async () => { await post("/sign-out"); location.assign("/sign-in"); } }, "Sign out");
    document.querySelector(".live").after(h("span", { class: "who" }, `${who.name} (${who.role})`, out));
  }).catch(() => {}); // the page says for itself that nobody answers
}
