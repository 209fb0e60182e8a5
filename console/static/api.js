// One place asks the service; it also knows whether the service answers.
const known = new Map();

export async function get(path) {
  const before = known.get(path);
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { headers: before ? { "If-None-Match": before.etag } : {} });
  } catch {
    say(false, "no connection");
    throw new Error("The service does not answer. Is `milepost up` running?");
  }
  say(true, "live");
  if (answer.status === 401 && location.pathname !== "/sign-in") location.assign("/sign-in");
  if (answer.status === 304) return before.document;
  const document = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(document.error || `HTTP ${answer.status}`), { status: answer.status });
  const etag = answer.headers.get("ETag");
  if (etag) {
    if (known.size > 200) known.clear();
    known.set(path, { etag, document });
  }
  return document;
}

// What changes something says that it is our own page that asks.
export const post = (path, body) => send("POST", path, body);

export async function send(method, path, body) {
  const answer = await fetch(`/api/v1${path}`, { method, headers: { "X-Milepost": "console", "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error((await answer.json()).error || `HTTP ${answer.status}`);
}

let identity = null;
export async function me() {
  return (identity ??= await get("/me"));
}

export function say(on, text) {
  document.getElementById("dot").className = on ? "on" : "";
  document.getElementById("live").textContent = text;
}
