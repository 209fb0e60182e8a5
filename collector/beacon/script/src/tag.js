/* The script tag: its attributes are the options, and `window.milepost` is what it gives. */

import {start} from './beacon.js';

const before = window.milepost || {};
const script = document.currentScript;
if (!before.version && script) { // else the tag is on the page twice, or this is no classic script
  const given = script.dataset, options = {};
  for (const name in given) options[name] = given[name] || true; // `data-spa` alone means yes
  options.endpoint = new URL(given.endpoint || '/v1/clicks', given.endpoint ? location.href : script.src).href;
  window.milepost = start(options, before.q);
}
