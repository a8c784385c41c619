// Values as people read them. Amounts arrive as decimal strings and stay decimal: Intl formats such strings exactly.

const MISSING = "\u2013";
const cache = new Map();

function locale() {
  return (typeof document !== "undefined" && document.documentElement.lang) || "en";
}

function formatter(kind, options) {
  const key = `${kind}${locale()}${JSON.stringify(options)}`;
  let made = cache.get(key);
  if (!made) {
    made = new Intl[kind](locale(), options);
    cache.set(key, made);
  }
  return made;
}

const number = (options) => formatter("NumberFormat", options);
const isMissing = (value) => value === null || value === undefined || value === "" || Number.isNaN(value);
// A true minus sign lines up with figures; a hyphen does not.
const minus = (text) => text.replace(/^-/, "\u2212");

export function formatNumber(value, digits = 3) {
  return isMissing(value) ? MISSING : minus(number({ maximumFractionDigits: digits }).format(value));
}

/** Whole tokens; from ten million on in millions, since more figures say nothing on a card. */
export function formatTokens(value) {
  if (isMissing(value)) return MISSING;
  return Math.abs(Number(value)) < 1e7 ? formatNumber(value, 0) : formatCompact(value);
}

export function formatCompact(value) {
  return isMissing(value) ? MISSING : minus(number({ notation: "compact", maximumSignificantDigits: 4 }).format(value));
}

export function formatPercent(value, digits = 1) {
  return isMissing(value) ? MISSING : minus(number({ style: "percent", maximumFractionDigits: digits }).format(value));
}

/**
 * `amount` as a decimal string in `currency`. Amounts below one unit keep four significant digits, so that a
 * request of 0.00012 USD does not read as nothing; `exact` keeps all twelve places.
 */
export function formatMoney(amount, currency = "USD", exact = false) {
  if (isMissing(amount)) return MISSING;
  const plain = { style: "currency", currency, currencyDisplay: "code" };
  const size = Math.abs(Number(amount));
  let options = plain;
  if (exact) options = { ...plain, maximumFractionDigits: 12 };
  else if (size > 0 && size < 1) {
    const places = number(plain).resolvedOptions().maximumFractionDigits;
    const wanted = Math.min(12, Math.ceil(-Math.log10(size)) + 3);
    options = { ...plain, minimumFractionDigits: places, maximumFractionDigits: Math.max(places, wanted) };
  }
  const parts = number(options).formatToParts(amount);
  const code = parts.find((part) => part.type === "currency").value;
  const figures = parts.filter((part) => part.type !== "currency" && !/^\s+$/.test(part.value));
  return `${minus(figures.map((part) => part.value).join("").trim())}\u00a0${code}`;
}

const DATE = { year: "numeric", month: "short", day: "numeric" };
const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** `style`: date, time, datetime, second (with seconds) or month; `zone` is an IANA name. */
export function formatDate(value, style = "datetime", zone = "UTC") {
  const date = new Date(value);
  if (isMissing(value) || Number.isNaN(date.getTime())) return MISSING;
  const styles = {
    date: DATE,
    time: TIME,
    datetime: { ...DATE, ...TIME },
    second: { ...TIME, second: "2-digit" },
    month: { year: "numeric", month: "long" },
    day: { month: "short", day: "numeric" },
  };
  return formatter("DateTimeFormat", { ...styles[style], timeZone: zone }).format(date);
}

const STEPS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
  ["year", Infinity],
];

export function formatAgo(value, now = Date.now()) {
  const then = new Date(value).getTime();
  if (isMissing(value) || Number.isNaN(then)) return MISSING;
  let amount = Math.round((then - now) / 1000);
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return formatter("RelativeTimeFormat", { numeric: "auto" }).format(amount, unit);
    amount = Math.trunc(amount / size);
  }
  return MISSING;
}

export function formatDuration(ms) {
  if (isMissing(ms)) return MISSING;
  const value = Number(ms);
  return value < 1000 ? `${formatNumber(value, 0)}\u00a0ms` : `${formatNumber(value / 1000, 2)}\u00a0s`;
}

/** One door for declared columns, cards and live values: `kind` names the unit, never the look. */
export function formatValue(kind, value, { currency, zone, digits, exact } = {}) {
  switch (kind) {
    case "number":
      return formatNumber(value, digits);
    case "tokens":
      return formatTokens(value);
    case "compact":
      return formatCompact(value);
    case "percent":
      return formatPercent(value, digits);
    case "money":
      return formatMoney(value, currency, exact);
    case "duration":
      return formatDuration(value);
    case "ago":
      return formatAgo(value);
    case "date":
    case "time":
    case "datetime":
    case "second":
    case "month":
    case "day":
      return formatDate(value, kind, zone);
    default:
      return isMissing(value) ? MISSING : String(value);
  }
}

export const isDateKind = (kind) => ["date", "time", "datetime", "second", "month", "day", "ago"].includes(kind);
export const isNumberKind = (kind) => ["number", "tokens", "compact", "percent", "money", "duration"].includes(kind);
