/* The beacon, composed: `start` gives the `milepost` object. Nothing here throws into the page. */

import {watchActions} from './actions.js';
import {build, plain, query} from './fields.js';
import {identity, uuid} from './identity.js';
import {openOutbox} from './outbox.js';
import {watchPages} from './pages.js';
import {recommender} from './recommend.js';
import {OWN, openStorage, quietly} from './storage.js';

export const VERSION = '3';

/* options: docs/clicks.md; endpoint is an absolute URL. early: calls that the page made before. */
export function start(options, early = []) {
  const {endpoint, hashRoutes} = options;
  // Started again (a component that is mounted twice, a tag beside the module, also an earlier one's): one page.
  const other = [window[OWN + endpoint], window.milepost].find((each) => each?.debug?.()?.endpoint === endpoint);
  if (other) {
    early.forEach((call) => other.q.push(call));
    return other;
  }
  const anonymous = !!(options.noCookies || navigator.globalPrivacyControl || navigator.doNotTrack === '1');
  const needsConsent = options.consent === 'required';
  let consent = !needsConsent;
  const silent = () => anonymous || !consent;
  const storage = openStorage(silent);
  const {recall, remember, forget} = storage;
  consent = consent || storage.consented();
  const warn = (...words) => options.debug && console.warn('milepost:', ...words);
  const outbox = openOutbox({storage, endpoint, cookie: options.cookie, allowed: () => consent, warn});
  const who = () => (silent() ? {} : identity(storage, Date.now()));
  const here = () => ({page: plain(location.href, hashRoutes), ...query(options.keepQuery, hashRoutes)});
  let from = document.referrer, happened;

  function keep(type, fields, page = here()) {
    const now = Date.now();
    const event = {event_id: uuid(), event_type: String(type), timestamp: new Date(now).toISOString()};
    Object.assign(event, build([page, {referrer_url: plain(from, hashRoutes)}, who(), fields], warn));
    if (navigator.webdriver) event.automated = true;
    if (type === 'view') recommendations.seen(event.item_id);
    const order = event.order_id;
    if (type === 'purchase' && order && order.length < 100) {
      event.event_id = 'purchase-' + order; // its identity, whatever page shows it again
      const known = (recall('orders') || '').split('\n');
      if (known.includes(order)) return event.event_id;
      if (!silent()) remember('orders', known.concat(order).slice(-20).join('\n'));
    }
    outbox.add(event, now);
    return event.event_id;
  }
  function track(type, fields) {
    const id = keep(type, fields);
    outbox.flushSoon();
    return id;
  }

  const address = options.recommendations || new URL('/v1/recommendations', endpoint).href;
  const recommendations = recommender({storage, address, track});

  const api = {
    version: VERSION,
    track: quietly(track),
    identify: quietly((customer, traits) => {
      if (anonymous || !customer) return undefined;
      remember('customer', String(customer));
      return track('identify', {customer_id: customer, properties: traits});
    }),
    reset: quietly(() => ['user', 'session', 'customer', 'orders', 'viewed', 'control'].forEach((name) => forget(OWN + name))),
    consent: quietly((given) => {
      consent = !!given;
      if (consent) {
        storage.write(OWN + 'consent', 'yes');
        outbox.adopt(who);
        outbox.flush();
      } else {
        forget(OWN);
        outbox.clear();
      }
    }),
    recommend: (element, wanted) => recommendations.recommend(element, wanted).catch(() => []),
    debug: quietly(() => ({version: VERSION, endpoint, consent, anonymous, ...outbox.figures()})),
  };
  const called = ([name, ...given]) => {
    if (name.type) return happened(name, ...given); // a click before the script came, and the elements around it
    return /^(identify|reset|consent|recommend)$/.test(name) ? api[name](...given) : track(name, ...given);
  };
  api.q = {push: quietly(called)};

  const begin = quietly(() => {
    happened = watchActions(track);
    watchPages({
      spa: options.spa, hashRoutes, here,
      shown(previous) {
        from = previous || from;
        if (!options.noPageView) track('page_view', {title: document.title, language: navigator.language, screen: screen.width + 'x' + screen.height});
      },
      gone: (fields, page) => !options.noPageView && keep('page_leave', fields, page),
      hide: outbox.leave,
    });
    addEventListener('online', outbox.again);
    early.forEach((call) => api.q.push(call));
    outbox.flushSoon(); // and what an earlier page left behind
  });
  // A page that the browser prepares ahead is counted when it is shown.
  if (document.prerendering) document.addEventListener('prerenderingchange', begin); // comes once
  else begin();
  return window[OWN + endpoint] = api;
}
