/* Milepost beacon 2: see docs/clicks.md
 * One tag: <script async src="https://HOST/beacon.js"></script>
 * An event leaves the outbox only when the server has said what became of it; until then it is sent again under the
 * same event_id, so that it counts once. Nothing here throws into the page. */
(() => {
  'use strict';
  const VERSION = '2';
  const BATCH = 20; // events per request
  const KEEPALIVE_BYTES = 60000; // browsers refuse keepalive requests and beacons of over 64 KiB
  const MOST_EVENTS = 1000; // in storage, and as many again in memory
  const MOST_CHARS = 250000; // of storage, which belongs to the shop
  const SESSION_MS = 30 * 60 * 1000;
  const BACKOFF_MS = 1000;
  const BACKOFF_MAX_MS = 5 * 60 * 1000;
  const ATTEMPT_MS = 30 * 1000;
  const OWN = 'milepost.';
  const PREFIX = OWN + 'event.'; // one key per event: tabs share the outbox and overwrite nothing
  const NUMBERS = /^(click_count|price|quantity|search_results|engaged_seconds|scroll_percent)$/;
  const IDS = /_id$/; // texts of up to 256 characters; other texts up to 2048
  const RESERVED = /^(event_id|event_type|timestamp|sent_at)$/; // what makes an event itself is not for attributes

  const before = window.milepost || {};
  const script = document.currentScript;
  if (before.version || !script) return; // the tag is on the page twice, or this is no classic script
  const options = script.dataset;
  const endpoint = options.endpoint || new URL('/v1/clicks', script.src).href;
  const anonymous = 'noCookies' in options || navigator.doNotTrack === '1' || navigator.globalPrivacyControl === true;

  const memory = {}; // the outbox where there is no storage: no consent, opted out, blocked or full
  const remembered = {}; // identity for the life of the page, where there is no storage
  const beaconed = {}; // sent as the page went, not acknowledged: no second beacon
  const refusals = {}; // key → {at: successes when it was last refused, times}
  let rejected = []; // where there is no storage
  let successes = 0, most = BATCH, failures = 0, dropped = 0, sending = false, timer = null;

  const quietly = (action) => (...given) => {
    try { return action(...given); } catch (error) { return undefined; } // the shop matters more than its statistics
  };

  /* Storage throws where it is blocked, and where it is full. */
  const stores = ['localStorage', 'sessionStorage'].map((name) => quietly(() => window[name])());
  const stored = (index, action) => quietly(() => stores[index] && action(stores[index]))();
  let consent = options.consent === 'required' ? stored(0, (s) => s.getItem(OWN + 'consent')) === 'yes' : true;
  const silent = () => anonymous || !consent;
  const keysOf = (prefix) => stored(0, (s) => Object.keys(s).filter((key) => key.startsWith(prefix))) || [];
  const read = (key) => (silent() ? null : stored(0, (s) => s.getItem(key)));
  const write = (key, value) => !silent() && stored(0, (s) => (s.setItem(key, value), true));

  const recall = (name) => read(OWN + name) || (!silent() && stored(1, (s) => s.getItem(OWN + name))) || remembered[name];
  function remember(name, value) {
    remembered[name] = value;
    if (!write(OWN + name, value) && !silent()) stored(1, (s) => s.setItem(OWN + name, value));
  }
  function forget(prefix) {
    [0, 1].forEach((i) => stored(i, (s) => Object.keys(s).forEach((key) => key.startsWith(prefix) && s.removeItem(key))));
    Object.keys(remembered).forEach((name) => (OWN + name).startsWith(prefix) && delete remembered[name]);
  }
  function remove(key) {
    delete memory[key];
    delete refusals[key];
    stored(0, (s) => s.removeItem(key));
  }

  const warn = (...words) => 'debug' in options && console.warn('milepost:', ...words);

  function uuid() {
    if (crypto.randomUUID) return crypto.randomUUID(); // only in secure contexts
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = Array.from(bytes, (b) => (b + 256).toString(16).slice(1)).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  /* Keys of what waits, oldest first: a key starts with its time. */
  const waiting = () => [...new Set(Object.keys(memory).concat(silent() ? [] : keysOf(PREFIX)))].sort();

  /* Of these, what one keepalive request may carry. What was read from storage is parsed first: any script of the page
   * may have written there, and one broken line must not block the rest. */
  function batch(keys, limit) {
    const chosen = [], texts = [];
    let bytes = 100;
    for (const key of keys) {
      if (chosen.length === limit) break;
      const text = memory[key] || read(key);
      if (!text) continue; // another tab has had its receipt meanwhile
      const event = quietly(JSON.parse)(text);
      if (!event || typeof event !== 'object' || !event.event_id) {
        aside(key, 'damaged in storage');
        continue;
      }
      bytes += new Blob([text]).size + 1;
      if (chosen.length && bytes > KEEPALIVE_BYTES) break;
      chosen.push(key);
      texts.push(text);
    }
    const body = () => `{"sent_at":"${new Date().toISOString()}","events":[${texts.join(',')}]}`;
    return {keys: chosen, body, light: bytes < KEEPALIVE_BYTES};
  }

  /* An event that the server, or something before it, refuses for good; kept for milepost.debug(). */
  function aside(key, reason) {
    const list = setAside();
    list.push({at: new Date().toISOString(), reason, event: String(memory[key] || read(key)).slice(0, 2000)});
    if (!write(OWN + 'rejected', JSON.stringify(list.slice(-20)))) rejected = list.slice(-20);
    warn('set aside', reason, key);
    remove(key);
  }
  const setAside = () => quietly(JSON.parse)(read(OWN + 'rejected') || 'null') || rejected.slice();

  /* Who: a user for this browser, a session until 30 minutes without an event. Nobody, if the shopper opted out. */
  function identity(now) {
    if (anonymous) return {};
    const user = recall('user');
    let session = quietly(JSON.parse)(recall('session') || 'null') || {};
    if (!session.id || now - session.at > SESSION_MS || now < session.at - SESSION_MS) {
      session = {id: uuid(), type: user ? 'returning' : 'new'};
    }
    session.at = now;
    if (!user) remember('user', uuid());
    remember('session', JSON.stringify(session));
    const who = {user_id: recall('user'), session_id: session.id, user_type: session.type};
    if (recall('customer')) who.customer_id = recall('customer');
    return who;
  }

  /* A URL without its query, which may hold a token or a name; with its route where the shop routes by hash. */
  function plain(url) {
    const route = 'hashRoutes' in options && /#!?\/[^?]*/.exec(url);
    return url.split(/[?#]/)[0] + (route ? route[0] : '');
  }

  /* utm_* become fields, the keys of data-keep-query properties. */
  function query() {
    const found = {}, kept = {};
    const keep = (options.keepQuery || '').split(/[\s,]+/);
    new URLSearchParams(location.search).forEach((value, key) => {
      if (/^utm_(source|medium|campaign|term|content)$/.test(key)) found[key] = value;
      else if (keep.includes(key)) kept[key] = value;
    });
    if (Object.keys(kept).length) found.properties = kept;
    return found;
  }

  /* Cut by characters, never through one; half a character from elsewhere is no text. */
  const cut = (value, most) => Array.from(value.replace(/\p{Cs}/gu, '\ufffd')).slice(0, most).join('');

  function put(event, name, value) {
    const type = typeof value;
    if (RESERVED.test(name)) return;
    if (type === 'string' && NUMBERS.test(name) && value.trim() && isFinite(value)) event[name] = Number(value);
    else if (type === 'number' && IDS.test(name)) event[name] = String(value);
    else if (type === 'string') { if (value) event[name] = cut(value, IDS.test(name) ? 256 : 2048); }
    else if (type === 'boolean' || (type === 'number' && isFinite(value))) event[name] = value;
    else if (name === 'lines' && Array.isArray(value)) event.lines = value.map((line) => build([line]));
    else if (name === 'properties' && value && type === 'object') event.properties = {...event.properties, ...build([value])};
    else if (value != null) warn('left out', name);
  }
  function build(sources) {
    const event = {};
    sources.forEach((source) => Object.keys(source || {}).forEach((name) => put(event, name, source[name])));
    return event;
  }

  let from = document.referrer;

  function keep(type, fields) {
    const now = Date.now();
    const event = {event_id: uuid(), event_type: String(type), timestamp: new Date(now).toISOString()};
    const page = {page: plain(location.href), ...query()};
    if (from) page.referrer_url = plain(from);
    Object.assign(event, build([page, consent ? identity(now) : {}, fields]));
    const order = event.order_id;
    if (type === 'purchase' && order && order.length < 100) {
      event.event_id = 'purchase-' + order; // its identity, whatever page shows it again
      const known = (recall('orders') || '').split('\n');
      if (known.includes(order)) return event.event_id;
      if (!silent()) remember('orders', known.concat(order).slice(-20).join('\n'));
    }
    const key = PREFIX + now.toString(36) + '.' + event.event_id;
    const text = JSON.stringify(event);
    const held = keysOf(PREFIX).map(read);
    if (held.length >= MOST_EVENTS || held.join('').length > MOST_CHARS || !write(key, text)) {
      if (Object.keys(memory).length < MOST_EVENTS) memory[key] = text;
      else warn('full: dropped', ++dropped);
    }
    return event.event_id;
  }

  function track(type, fields) {
    const id = keep(type, fields);
    flush();
    return id;
  }

  function flush() {
    if (sending || timer || !consent) return;
    const next = batch(waiting().filter((key) => !refusals[key] || refusals[key].at < successes), most);
    if (!next.keys.length) {
      if (waiting().length) later(0, () => Object.values(refusals).forEach((each) => { each.at = -1; }));
      return;
    }
    const abort = new AbortController();
    const limit = setTimeout(() => abort.abort(), ATTEMPT_MS);
    sending = true;
    // text/plain, so that the browser need not ask permission first; the server wants no cookies.
    fetch(endpoint, {
      method: 'POST', body: next.body(), headers: {'Content-Type': 'text/plain'}, credentials: 'omit',
      keepalive: next.light, signal: abort.signal,
    }).then(async (response) => {
      if (response.ok) return settle(next.keys, (await response.json()).receipts);
      const status = response.status;
      const final = status >= 400 && status < 500 && ![408, 425, 429].includes(status);
      if (final) return refused(next.keys, 'HTTP ' + status, [400, 413, 422].includes(status) ? 1 : 2);
      return (parseInt(response.headers.get('Retry-After'), 10) || 0) * 1000 || 1;
    }).catch(() => (refused(next.keys, 'no answer', 5), 1)).then((wait) => {
      clearTimeout(limit);
      sending = false;
      if (wait) later(wait);
      else flush(); // for what came meanwhile
    });
  }

  /* Try again later: at least `wait` ms, and longer after each failure. */
  function later(wait, then) {
    const backoff = Math.min(BACKOFF_MS * 2 ** failures++, BACKOFF_MAX_MS) * (0.5 + Math.random() / 2);
    timer = setTimeout(quietly(() => { if (then) then(); again(); }), Math.max(wait, backoff));
  }

  /* Receipts stand in the order of the events. Any of them is final: accepted, duplicate or rejected. */
  function settle(keys, receipts) {
    if (receipts.length !== keys.length) throw new Error('not the beacon of Milepost');
    successes++;
    failures = 0;
    most = Math.min(most * 2, BATCH);
    keys.forEach((key, i) => {
      if (receipts[i].warnings) warn(receipts[i].event_id, receipts[i].warnings);
      if (receipts[i].status === 'rejected') aside(key, `${receipts[i].field}: ${receipts[i].reason}`);
      else remove(key);
    });
    return 0;
  }

  /* Halve the batch until the culprit is alone; it then stands back for the others. It is set aside when it was refused
   * `times` times while others got through, so that an outage which refuses everything costs nothing. */
  function refused(keys, reason, times) {
    if (keys.length > 1) {
      most = Math.ceil(keys.length / 2);
      return 0;
    }
    const key = keys[0];
    const known = refusals[key] || {at: -1, times: 0, seen: -1};
    if (known.seen < successes) known.times++;
    refusals[key] = {at: successes, seen: successes, times: known.times};
    if (known.times >= times) aside(key, reason);
    return 0;
  }

  const again = quietly(() => {
    clearTimeout(timer);
    timer = null;
    flush();
  });

  /* The page may never run again. What it still holds goes by beacon, and stays in the outbox, since a beacon has no
   * answer: this page or the next one sends it again, and gets the receipt. */
  function leave() {
    left();
    if (!consent) return;
    let rest = waiting().filter((key) => !beaconed[key] && !refusals[key]);
    for (let next = batch(rest, BATCH); next.keys.length; next = batch(rest, BATCH)) {
      if (!navigator.sendBeacon(endpoint, new Blob([next.body()], {type: 'text/plain'}))) return;
      next.keys.forEach((key) => { beaconed[key] = true; });
      rest = rest.filter((key) => !beaconed[key]);
    }
  }

  /* How long the page was seen, and how much of it, since it was last said. */
  let since = document.hidden ? 0 : Date.now(), engaged = 0, depth = 0;
  function scrolled() {
    const root = document.documentElement;
    depth = Math.max(depth, Math.min(100, Math.round(100 * (scrollY + innerHeight) / Math.max(root.scrollHeight, 1))));
  }
  function left() {
    if (since) engaged += Date.now() - since;
    since = 0;
    if (engaged < 1000 || 'noPageView' in options) return;
    scrolled();
    keep('page_leave', {engaged_seconds: Math.min(Math.round(engaged / 1000), 86400), scroll_percent: depth});
    engaged = 0;
  }

  const control = (path) => (path.find((each) => each.localName === 'label') || {}).control;
  let labelled = null; // the control to which the browser passes on a click on its label, at once

  function happened(event) {
    const path = event.composedPath().filter((each) => each.dataset);
    const start = path.findIndex((each) => each.dataset.milepostEvent);
    if (start < 0 || (path[start].localName === 'form') !== (event.type === 'submit')) return;
    if (event.type === 'click') {
      if (labelled && path[0] === labelled) return;
      labelled = control(path);
      if (labelled) setTimeout(() => { labelled = null; });
    }
    const fields = {};
    path.slice(start).forEach((element) => Object.keys(element.dataset).forEach((key) => {
      const name = key.replace(/[A-Z]/g, (capital) => '_' + capital.toLowerCase());
      if (!name.startsWith('milepost_')) return;
      const field = name.slice('milepost_'.length);
      if (field !== 'event' && !(field in fields)) fields[field] = element.dataset[key]; // the nearest counts
    }));
    const input = event.type === 'submit' && path[start].querySelector('input[type=search],input[name=q],input[name=s]');
    if (input && !fields.search_term) fields.search_term = input.value;
    track(path[start].dataset.milepostEvent, fields);
  }

  let shown = null;
  const here = () => plain(location.href) + JSON.stringify(query());
  function view() {
    shown = here();
    if ('noPageView' in options) return;
    track('page_view', {title: document.title, language: navigator.language, screen: screen.width + 'x' + screen.height});
  }
  /* The page of a single-page shop has changed: leave one, view the next. */
  const moved = quietly((old) => {
    if (here() === shown) return;
    left();
    from = old || from;
    depth = 0;
    since = document.hidden ? 0 : Date.now();
    view();
  });
  function watchRoutes() {
    let last = location.href;
    const check = () => setTimeout(() => { moved(last); last = location.href; }); // the shop sets its title first
    if ('spa' in options) ['pushState', 'replaceState'].forEach((name) => {
      const real = history[name];
      history[name] = function () { const result = real.apply(this, arguments); check(); return result; };
    });
    addEventListener('popstate', check);
    addEventListener('hashchange', check);
  }

  const api = {
    version: VERSION,
    track: quietly(track),
    identify: quietly((customer, traits) => {
      if (!anonymous && customer) remember('customer', String(customer));
      return anonymous ? undefined : track('identify', {customer_id: customer, properties: traits});
    }),
    reset: quietly(() => ['user', 'session', 'customer', 'orders'].forEach((name) => forget(OWN + name))),
    consent: quietly((given) => {
      consent = !!given;
      if (!consent) {
        forget(OWN);
        Object.keys(memory).forEach(remove);
      } else {
        write(OWN + 'consent', 'yes');
        Object.keys(memory).sort().forEach((key) => { // late: what was held belongs to whom we may now know
          memory[key] = JSON.stringify({...JSON.parse(memory[key]), ...identity(Date.now())});
        });
        flush();
      }
    }),
    debug: quietly(() => ({version: VERSION, endpoint, consent, anonymous, waiting: waiting().length, dropped, rejected: setAside()})),
  };
  const called = ([name, ...given]) => (/^(identify|reset|consent)$/.test(name) ? api[name](...given) : track(name, ...given));
  api.q = {push: quietly(called)};
  window.milepost = api;

  const start = quietly(() => {
    document.addEventListener('click', quietly(happened), true); // captured: the page may stop it from bubbling
    document.addEventListener('submit', quietly(happened), true);
    document.addEventListener('visibilitychange', quietly(() => {
      if (document.hidden) leave();
      else since = Date.now();
    }));
    addEventListener('scroll', quietly(scrolled), {passive: true});
    addEventListener('pagehide', quietly(leave));
    addEventListener('pageshow', quietly((event) => { if (event.persisted) { since = Date.now(); view(); } }));
    addEventListener('online', again);
    if ('spa' in options || 'hashRoutes' in options) watchRoutes();
    view();
    (before.q || []).forEach((call) => api.q.push(call));
    again(); // and what an earlier page left behind
  });
  // A page that the browser prepares ahead is counted when it is shown.
  if (document.prerendering) document.addEventListener('prerenderingchange', start, {once: true});
  else start();
})();
