/* What the browser may keep for the shop: local storage, session storage where that is denied, else the page's memory.
 * Storage throws where it is blocked, and where it is full; nothing of that reaches the shop. */

export const OWN = 'milepost.';

/* The same function, which never throws: the shop matters more than its statistics. */
export const quietly = (action) => (...given) => {
  try { return action(...given); } catch (error) { return undefined; }
};

/* silent(): whether nothing may be kept at all (no consent, opted out). */
export function openStorage(silent) {
  const stores = ['localStorage', 'sessionStorage'].map((name) => quietly(() => window[name])());
  const stored = (index, action) => quietly(() => stores[index] && action(stores[index]))();
  const remembered = {};
  const read = (key) => (silent() ? null : stored(0, (s) => s.getItem(key)));
  const write = (key, value) => !silent() && stored(0, (s) => (s.setItem(key, value), true));
  return {
    read,
    write,
    consented: () => stored(0, (s) => s.getItem(OWN + 'consent')) === 'yes',
    keys: (prefix) => (silent() ? [] : stored(0, (s) => Object.keys(s).filter((key) => key.startsWith(prefix))) || []),
    remove: (key) => stored(0, (s) => s.removeItem(key)),
    recall: (name) => read(OWN + name) || (!silent() && stored(1, (s) => s.getItem(OWN + name))) || remembered[name],
    remember(name, value) {
      remembered[name] = value;
      if (!write(OWN + name, value) && !silent()) stored(1, (s) => s.setItem(OWN + name, value));
    },
    forget(prefix) {
      [0, 1].forEach((i) => stored(i, (s) => Object.keys(s).forEach((key) => key.startsWith(prefix) && s.removeItem(key))));
      Object.keys(remembered).forEach((name) => (OWN + name).startsWith(prefix) && delete remembered[name]);
    },
  };
}
