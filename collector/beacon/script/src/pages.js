/* Which page is shown, for how long and how far down: page_view when it is seen, page_leave with what was seen of it. */

import {quietly} from './storage.js';

/* here(): the fields by which events name the page. shown(previous): a page is seen. gone(fields, page): what was seen of
 * a page, whose address may have changed meanwhile. hide(): the page may never run again. */
export function watchPages({spa, hashRoutes, here, shown, gone, hide}) {
  let current = null, since = 0, engaged = 0, depth = 0;

  function look() {
    const root = document.documentElement;
    depth = Math.max(depth, Math.min(100, Math.round(100 * (scrollY + innerHeight) / Math.max(root.scrollHeight, 1))));
  }
  function begin(from) {
    current = here();
    depth = engaged = 0;
    since = document.hidden ? 0 : performance.now();
    shown(from);
  }
  /* What was seen since it was last said. */
  function leave() {
    if (since) engaged += Math.max(0, performance.now() - since);
    since = 0;
    if (engaged < 1000) return;
    look();
    gone({engaged_seconds: Math.min(Math.round(engaged / 1000), 86400), scroll_percent: depth}, current);
    engaged = 0;
  }
  const left = quietly(() => { leave(); hide(); });

  addEventListener('scroll', quietly(look), {passive: true});
  addEventListener('pagehide', left);
  document.addEventListener('freeze', left);
  addEventListener('pageshow', quietly((event) => { if (event.persisted) begin(); }));
  document.addEventListener('visibilitychange', quietly(() => {
    if (document.hidden) left();
    else since = performance.now();
  }));

  /* The page of a single-page shop has changed: leave one, view the next. */
  const moved = quietly((old) => {
    if (JSON.stringify(here()) === JSON.stringify(current)) return;
    leave();
    begin(old);
  });
  if (spa || hashRoutes) {
    let last = location.href;
    const check = () => setTimeout(() => { moved(last); last = location.href; }); // the shop sets its title first
    if (spa) ['pushState', 'replaceState'].forEach((name) => {
      const real = history[name];
      history[name] = function () { const result = real.apply(this, arguments); check(); return result; };
    });
    addEventListener('popstate', check);
    addEventListener('hashchange', check);
  }
  begin();
}
