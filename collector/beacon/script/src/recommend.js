/* Recommendations from what this browser has looked at; the page itself says so, and nobody learns anything new. One
 * session in ten gets what is popular instead, so that the difference can be measured. */

import {quietly} from './storage.js';
import {uuid} from './identity.js';

const SEEN = 10;
const CONTROL_SHARE = 0.1;

export function recommender({storage, address, track}) {
  const viewed = () => (storage.recall('viewed') || '').split(',').filter(Boolean);

  function isControl() {
    const known = quietly(JSON.parse)(storage.recall('session') || 'null') || {};
    let [session, drawn] = (storage.recall('control') || '').split(':');
    if (session !== String(known.id)) {
      drawn = Math.random() < CONTROL_SHARE ? '1' : '';
      storage.remember('control', known.id + ':' + drawn);
    }
    return drawn === '1';
  }

  return {
    seen(id) {
      const before = viewed();
      if (id && before[before.length - 1] !== String(id)) storage.remember('viewed', [...before, id].slice(-SEEN).join());
    },
    /* Fill `element`; draw(item, position) gives a node, or null to leave one out. */
    async recommend(element, {n = 4, placement = 'page', items, draw} = {}) {
      const control = isControl();
      const asked = control ? [] : items || viewed();
      const response = await fetch(`${address}?n=${n}&items=${encodeURIComponent(asked.join())}`, {credentials: 'omit'});
      if (!response.ok) return [];
      const answer = await response.json();
      const about = {recommendation_id: uuid(), model_version: control ? 'popularity' : answer.model_version, placement};
      element.textContent = '';
      const shown = answer.items.map((each) => (each.item_id ? each : {item_id: each})).filter((item, index) => {
        const node = draw ? draw(item, index + 1) : item.item_name || item.item_id;
        if (!node) return false;
        const box = element.appendChild(document.createElement('div'));
        box.append(node);
        box.addEventListener('click', () => track('recommendation_click', {...about, item_id: item.item_id, position: index + 1}));
        return true;
      });
      if (shown.length) track('recommendation_view', {...about, lines: shown.map(({item_id}) => ({item_id}))});
      return shown;
    },
  };
}
