/* Events on their way: one leaves only when the server has said what became of it; until then it is sent again under the
 * same event_id, so that it counts once. */

import {OWN, quietly} from './storage.js';

const BATCH = 20; // events per request
const KEEPALIVE_BYTES = 60000; // browsers refuse keepalive requests and beacons of over 64 KiB
const MOST_EVENTS = 1000; // in storage, and as many again in memory
const MOST_CHARS = 250000; // of storage, which belongs to the shop
const BACKOFF_MS = 1000;
const BACKOFF_MAX_MS = 5 * 60 * 1000;
const TOGETHER_MS = 200; // what a page says at once goes in one request, so that one correction of the clock is for all
const ATTEMPT_MS = 30 * 1000;
const PREFIX = OWN + 'event.'; // one key per event: tabs share the outbox and overwrite nothing

/* allowed(): whether anything may be sent. */
export function openOutbox({storage, endpoint, cookie, allowed, warn}) {
  const {read, write, keys} = storage;
  const memory = {}; // this page's own: there may be no storage (no consent, opted out, full), or the shop clears it
  const beaconed = {}; // sent as the page went, not acknowledged: no second beacon
  const refusals = {}; // key → {at: successes when it was last refused, times}
  let rejected = []; // where there is no storage
  let successes = 0, most = BATCH, failures = 0, dropped = 0, sending = false, timer = null, soon = 0;

  function remove(key) {
    delete memory[key];
    delete refusals[key];
    storage.remove(key);
  }

  /* Keys of what waits, oldest first: a key starts with its time. */
  const waiting = () => [...new Set(Object.keys(memory).concat(keys(PREFIX)))].sort();

  /* Of these, what one keepalive request may carry. What was read from storage is parsed first: any script of the page
   * may have written there, and one broken line must not block the rest. */
  function batch(all, limit) {
    const chosen = [], texts = [];
    let bytes = 100;
    for (const key of all) {
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
    const event = String(memory[key] || read(key)).slice(0, 2000);
    const list = [...setAside(), {at: new Date().toISOString(), reason, event}].slice(-20);
    if (!write(OWN + 'rejected', JSON.stringify(list))) rejected = list;
    warn('set aside', reason, key);
    remove(key);
  }
  const setAside = () => quietly(JSON.parse)(read(OWN + 'rejected') || 'null') || rejected;

  function add(event, now) {
    const key = PREFIX + now.toString(36) + '.' + event.event_id;
    const text = JSON.stringify(event);
    const held = keys(PREFIX).map(read);
    const stored = held.length < MOST_EVENTS && held.join('').length + text.length < MOST_CHARS && write(key, text);
    if (stored || Object.keys(memory).length < 2 * MOST_EVENTS) memory[key] = text;
    else warn('full: dropped', ++dropped);
  }

  function flush() {
    if (sending || timer || !allowed()) return;
    const next = batch(waiting().filter((key) => !refusals[key] || refusals[key].at < successes), most);
    if (!next.keys.length) {
      if (waiting().length) later(0, () => Object.values(refusals).forEach((each) => { each.at = -1; }));
      return;
    }
    const abort = new AbortController();
    const limit = setTimeout(() => abort.abort(), ATTEMPT_MS);
    sending = true;
    // text/plain, so that the browser need not ask permission first.
    fetch(endpoint, {
      method: 'POST', body: next.body(), headers: {'Content-Type': 'text/plain'}, credentials: cookie ? 'include' : 'omit',
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
  function settle(sent, receipts) {
    if (receipts.length !== sent.length) throw new Error('not ours');
    successes++;
    failures = 0;
    most = Math.min(most * 2, BATCH);
    sent.forEach((key, i) => {
      if (receipts[i].warnings) warn(receipts[i].event_id, receipts[i].warnings);
      if (receipts[i].status === 'rejected') aside(key, `${receipts[i].field}: ${receipts[i].reason}`);
      else remove(key);
    });
  }

  /* Halve the batch until the culprit is alone; it then stands back for the others. It is set aside when it was refused
   * `times` times while others got through, so that an outage which refuses everything costs nothing. */
  function refused(sent, reason, times) {
    if (sent.length > 1) {
      most = Math.ceil(sent.length / 2);
      return;
    }
    const key = sent[0];
    const known = refusals[key] || {times: 0, seen: -1};
    if (known.seen < successes) known.times++;
    refusals[key] = {at: successes, seen: successes, times: known.times};
    if (known.times >= times) aside(key, reason);
  }

  const again = quietly(() => {
    clearTimeout(timer);
    timer = null;
    flush();
  });

  return {
    add,
    flush,
    flushSoon() {
      soon = soon || setTimeout(() => { soon = 0; flush(); }, TOGETHER_MS);
    },
    again,
    /* The page may never run again. What it still holds goes by beacon, and stays here, since a beacon has no answer:
     * this page or the next one sends it again, and gets the receipt. */
    leave() {
      if (!allowed()) return;
      let rest = waiting().filter((key) => !beaconed[key] && !refusals[key]), next;
      while ((next = batch(rest, BATCH)).keys.length) {
        const went = navigator.sendBeacon(endpoint, new Blob([next.body()], {type: 'text/plain'})); // or too much is under way
        next.keys.forEach((key) => { beaconed[key] = went; });
        rest = rest.filter((key) => !next.keys.includes(key));
      }
    },
    /* Late consent: what was held belongs to whom we may now know. */
    adopt(who) {
      Object.keys(memory).sort().forEach((key) => {
        if (!read(key)) memory[key] = JSON.stringify({...JSON.parse(memory[key]), ...who()});
      });
    },
    clear: () => Object.keys(memory).forEach(remove),
    figures: () => ({waiting: waiting().length, dropped, rejected: setAside()}),
  };
}
