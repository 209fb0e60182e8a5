/* What an event may say: texts cut to the wire's lengths, numbers as numbers, addresses without what may be secret. */

const NUMBERS = /^(click_count|price|quantity|search_results|engaged_seconds|scroll_percent|position)$/;
const IDS = /_id$/; // texts of up to 256 characters; other texts up to 2048
const RESERVED = /^(event_id|event_type|timestamp|sent_at)$/; // what makes an event itself is not for attributes

/* Cut by characters, never through one; half a character from elsewhere is no text. What a shop reads from its page
 * has line breaks around it, and no id may. */
const cut = (value, most) => Array.from(value.trim().replace(/\p{Cs}/gu, '\ufffd').replace(/\p{Cc}+/gu, ' ')).slice(0, most).join('');

function put(event, name, value, warn) {
  const type = typeof value;
  if (RESERVED.test(name)) return;
  if (type === 'string' && NUMBERS.test(name) && value.trim() && isFinite(value)) event[name] = Number(value);
  else if (type === 'number' && IDS.test(name)) event[name] = String(value);
  else if (type === 'string') { if ((value = cut(value, IDS.test(name) ? 256 : 2048))) event[name] = value; }
  else if (type === 'boolean' || (type === 'number' && isFinite(value))) event[name] = value;
  else if (name === 'lines' && Array.isArray(value)) event.lines = value.map((line) => build([line], warn));
  else if (name === 'properties' && value && type === 'object') event.properties = {...event.properties, ...build([value], warn)};
  else if (value != null) warn('left out', name);
}

export function build(sources, warn) {
  const event = {};
  sources.forEach((source) => Object.keys(source || {}).forEach((name) => put(event, name, source[name], warn)));
  return event;
}

/* A URL without its query, which may hold a token or a name; with its route where the shop routes by hash. */
export function plain(url, hashRoutes) {
  const route = hashRoutes && /#!?\/[^?]*/.exec(url);
  return url.split(/[?#]/)[0] + (route ? route[0] : '');
}

/* utm_* become fields, the chosen keys properties; also those of a hash route. */
export function query(keepQuery, hashRoutes) {
  const found = {}, kept = {};
  const keep = (keepQuery || '').split(/[\s,]+/);
  const routed = hashRoutes ? location.hash.split('?')[1] : '';
  for (const text of [location.search, routed || '']) {
    new URLSearchParams(text).forEach((value, key) => {
      if (/^utm_(source|medium|campaign|term|content)$/.test(key)) found[key] = value;
      else if (keep.includes(key)) kept[key] = value;
    });
  }
  if (Object.keys(kept).length) found.properties = kept;
  return found;
}
