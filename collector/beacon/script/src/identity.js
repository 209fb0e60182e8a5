/* Who: a user for this browser, a session until 30 minutes without an event. Nobody, if the shopper opted out. */

import {quietly} from './storage.js';

const SESSION_MS = 30 * 60 * 1000;

/* crypto.randomUUID is only in secure contexts. */
export function uuid() {
  const digit = (kind) => (kind ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (kind / 4)))).toString(16);
  return '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, digit); // 8: one of 8, 9, a, b
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
