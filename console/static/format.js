const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const numbers = new Map(); // digits → how a number is written: to make one takes longer than to use it

export function number(value, digits = 0) {
  if (!numbers.has(digits)) numbers.set(digits, new Intl.NumberFormat(undefined, { maximumFractionDigits: digits }));
  return value === null || value === undefined ? "–" : numbers.get(digits).format(Number(value));
}

// Times are shown in the viewer's zone; the title has them in UTC.
export function time(instant) {
  if (!instant) return "–";
  const node = document.createElement("time");
  const moment = new Date(instant);
  node.dateTime = instant;
  node.title = `${instant.slice(0, 19).replace("T", " ")} UTC`;
  node.textContent = moment.toDateString() === new Date().toDateString() ? clock.format(moment) : day.format(moment);
  return node;
}

export function ago(instant, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - new Date(instant)) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

export function ranges(pairs) {
  return pairs.map(([a, b]) => (a === b ? `${a}` : `${a}–${b}`)).join(" ");
}

export function money(amount, currency) {
  try {
    return Number(amount).toLocaleString(undefined, { style: "currency", currency });
  } catch {
    return `${amount} ${currency}`; // a code that is no currency
  }
}
