/* Who: a user for this browser, a session until 30 minutes without an event. Nobody, if the shopper opted out. */

import {quietly} from './storage.js';

const SESSION_MS = 30 * 60 * 1000;

export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID(); // only in secure contexts
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = Array.from(bytes, (b) => (b + 256).toString(16).slice(1)).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export function identity(storage, now) {
  const {recall, remember} = storage;
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
