/* Milepost beacon 1. One tag:
 *   <script async src="https://HOST/beacon.js"></script>
 * Attributes of the tag: data-endpoint (where to post; default HOST/v1/clicks), data-no-cookies (identify nobody and
 * store nothing on the device; so do Do Not Track and Global Privacy Control), data-no-page-view (send none on load).
 *
 * A click on <button data-milepost-event="add_to_cart" data-milepost-item-id="i7"> sends that event, with the
 * data-milepost-* fields of the element and of those around it. From a script: milepost.track('search', {category: 'x'})
 * or, if this file may not have loaded yet: (window.milepost ||= {q: []}).q.push(['search', {category: 'x'}])
 *
 * An event leaves the outbox only when the server has said what became of it; until then it is sent again, with the
 * same event_id, so that it counts once. Nothing here throws into the page.
 */
(function () {
  'use strict';
  var VERSION = '1';
  var BATCH = 20; // events a request
  var KEEPALIVE_BYTES = 60000; // browsers refuse keepalive requests and beacons of over 64 KiB
  var MAX_STORED = 1000; // events; the storage belongs to the shop, what is over stays in memory
  var SESSION_MS = 30 * 60 * 1000;
  var BACKOFF_MS = 1000;
  var BACKOFF_MAX_MS = 5 * 60 * 1000;
  var ATTEMPT_MS = 30 * 1000;
  var PREFIX = 'milepost.event.'; // one key an event: tabs share the outbox and cannot overwrite each other's
  var NUMBERS = /^(click_count|price|quantity)$/;
  var IDS = /_id$/; // the contract has texts there, of up to 256 characters; other texts up to 2048

  var before = window.milepost || {};
  var script = document.currentScript;
  if (before.version || !script) return; // the tag is on the page twice, or this is no classic script
  var endpoint = script.dataset.endpoint || new URL('/v1/clicks', script.src).href;
  var anonymous =
    'noCookies' in script.dataset || navigator.doNotTrack === '1' || navigator.globalPrivacyControl === true;

  var memory = {}; // the outbox where there is no storage: opted out, blocked or full
  var beaconed = {}; // sent as the page went, not acknowledged: no second beacon
  var sending = false;
  var failures = 0;
  var timer = null;

  function quietly(action) {
    return function () {
      try {
        return action.apply(null, arguments);
      } catch (error) {
        return undefined; // the shop matters more than its statistics
      }
    };
  }

  function uuid() {
    if (crypto.randomUUID) return crypto.randomUUID(); // only in secure contexts
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    var hex = Array.from(bytes, function (b) { return (b + 256).toString(16).slice(1); }).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  /* Storage throws where it is blocked, and where it is full. */
  var stored = quietly(function () {
    return anonymous ? [] : Object.keys(localStorage).filter(function (key) { return key.indexOf(PREFIX) === 0; });
  });
  var read = quietly(function (key) { return anonymous ? null : localStorage.getItem(key); });
  var write = quietly(function (key, value) { return anonymous ? false : (localStorage.setItem(key, value), true); });

  function remove(key) {
    delete memory[key];
    quietly(function () { if (!anonymous) localStorage.removeItem(key); })();
  }

  /* Keys of what waits, oldest first: a key starts with its time. */
  function waiting() {
    return Object.keys(memory).concat(stored() || []).sort();
  }

  /* Of these, up to 20 events that one keepalive request may carry: {keys, body}. */
  function batch(keys) {
    var chosen = [], texts = [], bytes = 0;
    for (var i = 0; i < keys.length && chosen.length < BATCH; i++) {
      var text = memory[keys[i]] || read(keys[i]);
      if (!text) continue; // another tab has had its receipt meanwhile
      bytes += new Blob([text]).size + 1;
      if (chosen.length && bytes > KEEPALIVE_BYTES) break;
      chosen.push(keys[i]);
      texts.push(text);
    }
    return {keys: chosen, body: '{"events":[' + texts.join(',') + ']}', light: bytes < KEEPALIVE_BYTES};
  }

  /* Who: a user for this browser, a session until 30 minutes without an event. Nobody, if the shopper opted out. */
  function identity(now) {
    if (anonymous) return {};
    var user = read('milepost.user');
    var session = quietly(JSON.parse)(read('milepost.session') || 'null') || {};
    if (!session.id || now - session.at > SESSION_MS) session = {id: uuid(), type: user ? 'returning' : 'new'};
    session.at = now;
    if (!user) write('milepost.user', (user = uuid()));
    write('milepost.session', JSON.stringify(session));
    return {user_id: user, session_id: session.id, user_type: session.type};
  }

  /* A URL without its query, which may hold a token or a name. */
  function plain(url) {
    return url.split(/[?#]/)[0];
  }

  function put(event, name, value) {
    var type = typeof value;
    if (type === 'string' && NUMBERS.test(name) && value.trim() && isFinite(value)) event[name] = Number(value);
    else if (type === 'number' && IDS.test(name)) event[name] = String(value);
    else if (type === 'string') event[name] = value.slice(0, IDS.test(name) ? 256 : 2048);
    else if (type === 'boolean' || (type === 'number' && isFinite(value))) event[name] = value;
  } // anything deeper is no field of an event

  function track(type, fields) {
    var now = Date.now();
    var event = {event_id: uuid(), event_type: String(type), timestamp: new Date(now).toISOString()};
    var page = {page: plain(location.href)};
    if (document.referrer) page.referrer_url = plain(document.referrer);
    [page, identity(now), fields || {}].forEach(function (source) {
      Object.keys(source).forEach(function (name) { put(event, name, source[name]); });
    });
    var key = PREFIX + now.toString(36) + '.' + event.event_id;
    var text = JSON.stringify(event);
    if (waiting().length >= MAX_STORED || !write(key, text)) memory[key] = text;
    flush();
    return event.event_id;
  }

  function flush() {
    if (sending || timer) return;
    var next = batch(waiting());
    if (!next.keys.length) return;
    var abort = new AbortController();
    var limit = setTimeout(function () { abort.abort(); }, ATTEMPT_MS);
    // text/plain, so that the browser need not ask permission first; the server wants no cookies.
    var options = {method: 'POST', body: next.body, headers: {'Content-Type': 'text/plain'}, credentials: 'omit'};
    options.keepalive = next.light;
    options.signal = abort.signal;
    var answered = fetch(endpoint, options).then(function (response) {
      if (!response.ok) throw new Error(response.headers.get('Retry-After') || '');
      return response.json();
    });
    sending = true;
    answered.then(function (answer) { settle(next.keys, answer.receipts); }).then(function () {
      failures = 0;
      return 0;
    }, function (error) {
      var wait = Math.min(BACKOFF_MS * Math.pow(2, failures++), BACKOFF_MAX_MS) * (0.5 + Math.random() / 2);
      return Math.max(wait, (parseInt(error.message, 10) || 0) * 1000);
    }).then(function (wait) {
      clearTimeout(limit);
      sending = false;
      if (wait) timer = setTimeout(again, wait);
      else again(); // for what came meanwhile
    });
  }

  /* Receipts stand in the order of the events. Any of them is final: accepted, duplicate or rejected. */
  function settle(keys, receipts) {
    if (receipts.length !== keys.length) throw new Error('not the beacon of Milepost');
    keys.forEach(remove);
  }

  var again = quietly(function () {
    clearTimeout(timer);
    timer = null;
    flush();
  });

  /* The page may never run again. What it still holds goes by beacon, and stays in the outbox, since a beacon has no
   * answer: this page or the next one sends it again, and gets the receipt. */
  function leave() {
    var left = waiting().filter(function (key) { return !beaconed[key]; });
    for (var next = batch(left); next.keys.length; next = batch(left)) {
      if (!navigator.sendBeacon(endpoint, new Blob([next.body], {type: 'text/plain'}))) return;
      next.keys.forEach(function (key) { beaconed[key] = true; });
      left = left.filter(function (key) { return !beaconed[key]; });
    }
  }

  function clicked(click) {
    var start = click.target.closest('[data-milepost-event]');
    var fields = {};
    for (var element = start; element; element = element.parentElement) {
      Object.keys(element.dataset || {}).forEach(function (key) {
        var name = key.replace(/[A-Z]/g, function (capital) { return '_' + capital.toLowerCase(); });
        if (name.indexOf('milepost_') !== 0) return;
        name = name.slice('milepost_'.length);
        if (name !== 'event' && !(name in fields)) fields[name] = element.dataset[key]; // the nearest counts
      });
    }
    if (start) track(start.dataset.milepostEvent, fields);
  }

  var api = {version: VERSION, track: quietly(track)};
  api.q = {push: function (call) { api.track(call[0], call[1]); }};
  window.milepost = api;
  document.addEventListener('click', quietly(clicked), true); // captured: the page may stop it from bubbling
  document.addEventListener('visibilitychange', quietly(function () { if (document.hidden) leave(); }));
  addEventListener('pagehide', quietly(leave));
  addEventListener('online', again);
  if (!('noPageView' in script.dataset)) api.track('page_view');
  (before.q || []).forEach(api.q.push);
  again(); // and what an earlier page left behind
})();
