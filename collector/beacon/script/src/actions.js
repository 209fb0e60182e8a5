/* What shoppers do to elements that carry `data-milepost-event`: one action is one event. */

import {quietly} from './storage.js';

const control = (path) => (path.find((each) => each.localName === 'label') || {}).control;

export function watchActions(track) {
  let labelled = null; // the control to which the browser passes on a click on its label, at once

  function happened(event, way = event.composedPath()) { // which is empty later
    const path = way.filter((each) => each.dataset);
    const start = path.findIndex((each) => each.dataset.milepostEvent);
    if (start < 0 || (path[start].localName === 'form') !== (event.type === 'submit')) return;
    if (event.type === 'auxclick' && (event.button !== 1 || !path.some((each) => each.href))) return;
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

  // Captured: the page may stop them from bubbling.
  // The middle button, which opens a link in a new tab, is no click.
  ['click', 'auxclick', 'submit'].forEach((type) => document.addEventListener(type, quietly(happened), true));
  return happened;
}
