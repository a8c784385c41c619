// Values as people read them. Amounts arrive as decimal strings and stay decimal: Intl formats such strings exactly.

const MISSING = "\u2013";
const cache = new Map();

export function locale() {
  return (typeof document !== "undefined" && document.documentElement.lang) || "en";
}

function formatter(kind, options, language = locale()) {
  const key = `${kind}${language}${JSON.stringify(options)}`;
  let made = cache.get(key);
  if (!made) {
    made = new Intl[kind](language, options);
    cache.set(key, made);
  }
  return made;
}

const number = (options) => formatter("NumberFormat", options);
const isMissing = (value) => value === null || value === undefined || value === "" || Number.isNaN(value);
// A true minus sign lines up with figures; a hyphen does not. Direction is the element's: it stands left to right.
const tidy = (part) => (part.type === "minusSign" ? part.value.replace("-", "\u2212") : part.value).replace(/[\u200e\u200f\u061c]/g, "");
const written = (made, value) => made.formatToParts(value).map(tidy).join("");

export function formatNumber(value, digits = 3) {
  return isMissing(value) ? MISSING : written(number({ maximumFractionDigits: digits }), value);
}

/** Whole tokens; from ten million on in millions, since more figures say nothing on a card. */
export function formatTokens(value) {
  if (isMissing(value)) return MISSING;
  return Math.abs(Number(value)) < 1e7 ? formatNumber(value, 0) : formatCompact(value);
}

export function formatCompact(value) {
  return isMissing(value) ? MISSING : written(number({ notation: "compact", maximumSignificantDigits: 4 }), value);
}

export function formatPercent(value, digits = 1) {
  return isMissing(value) ? MISSING : written(number({ style: "percent", maximumFractionDigits: digits }), value);
}

// Minor digits where browsers follow custom and ISO 4217, our table, says otherwise; and what has no ISO code.
const MINOR_DIGITS = {
  ...Object.fromEntries(
    "AFN ALL COP HUF IDR IRR KPW LAK LBP MGA MMK MRO PKR SLL SOS STD SYP YER ZMK".split(" ").map((code) => [code, 2]),
  ),
  IQD: 3,
  BTC: 8,
};
const PLACES_MAX = 12;
const PRICE_DIGITS = 4;

/** The number of minor-unit digits of a currency. */
export function minorDigits(currency) {
  return MINOR_DIGITS[currency] ?? number({ style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

/** All digits of a decimal string or a number, without an exponent. */
function decimalText(amount) {
  const text = String(amount);
  return /e/i.test(text) ? Number(amount).toFixed(PLACES_MAX) : text;
}

/** The power of ten of the first digit that counts: 0 for 1 to 9.9, -2 for 0.012; null for nothing. */
function magnitude(amount) {
  const [whole, fraction = ""] = decimalText(amount).replace(/^[-+]/, "").split(".");
  const leading = whole.replace(/^0+/, "");
  if (leading) return leading.length - 1;
  const zeros = fraction.search(/[1-9]/);
  return zeros < 0 ? null : -zeros - 1;
}

function moneyText(amount, currency, fewest, most) {
  const made = number({ style: "currency", currency, currencyDisplay: "code", minimumFractionDigits: fewest, maximumFractionDigits: Math.max(fewest, Math.min(PLACES_MAX, most)) });
  const parts = made.formatToParts(amount);
  const figures = parts.filter((part) => part.type !== "currency" && part.type !== "literal");
  return `${figures.map(tidy).join("").trim()}\u00a0${currency}`;
}

/**
 * `amount` as a decimal string in `currency`. Amounts below one unit keep four significant digits, so that a
 * request of 0.00012 USD does not read as nothing; `exact` keeps all twelve places.
 */
export function formatMoney(amount, currency = "USD", exact = false) {
  if (isMissing(amount)) return MISSING;
  const places = minorDigits(currency);
  if (exact) return moneyText(amount, currency, places, PLACES_MAX);
  const size = magnitude(amount);
  return moneyText(amount, currency, places, size !== null && size < 0 ? PRICE_DIGITS - 1 - size : places);
}

/** A price: four significant digits however large it is, so that 1.875 USD does not read as 1.88. */
export function formatPrice(amount, currency = "USD") {
  if (isMissing(amount)) return MISSING;
  return moneyText(amount, currency, minorDigits(currency), PRICE_DIGITS - 1 - (magnitude(amount) ?? 0));
}

/** What a million units cost of which one costs `amount`, a decimal string: the point moves, nothing is rounded. */
export function perMillion(amount) {
  const [, sign, whole, fraction = ""] = /^([-+]?)(\d*)\.?(\d*)$/.exec(decimalText(amount));
  const padded = fraction.padEnd(6, "0");
  return `${sign}${(whole + padded.slice(0, 6)).replace(/^0+(?=\d)/, "")}${padded.length > 6 ? `.${padded.slice(6)}` : ""}`;
}

/** Money as it is said: "12.50 US dollars". */
export function spokenMoney(amount, currency = "USD") {
  if (isMissing(amount)) return "";
  const places = minorDigits(currency);
  const size = magnitude(amount);
  const most = size !== null && size < 0 ? Math.min(PLACES_MAX, Math.max(places, PRICE_DIGITS - 1 - size)) : places;
  return written(number({ style: "currency", currency, currencyDisplay: "name", minimumFractionDigits: places, maximumFractionDigits: most }), amount);
}

const DATE = { year: "numeric", month: "short", day: "numeric" };
const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const STYLES = {
  date: DATE,
  time: TIME,
  datetime: { ...DATE, ...TIME },
  second: { ...TIME, second: "2-digit" },
  month: { year: "numeric", month: "long" },
  day: { month: "short", day: "numeric" },
};
const DAY_ALONE = /^\d{4}-\d{2}-\d{2}$/;
const HALF_HOUR_MS = 1_800_000;

/** Minutes that `zone` is ahead of UTC at `date`. */
function offsetMinutes(date, zone) {
  const parts = formatter("DateTimeFormat", { timeZone: zone, timeZoneName: "longOffset" }, "en").formatToParts(date);
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(parts.find((part) => part.type === "timeZoneName").value) ?? [0, "+", 0, 0];
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

/** Whether the clocks of `zone` show this time twice, since they are set back around `date`. */
function isTwice(date, zone) {
  const here = offsetMinutes(date, zone);
  return [1, 2].some((halves) => {
    const shift = halves * HALF_HOUR_MS;
    const later = offsetMinutes(new Date(date.getTime() + shift), zone);
    const earlier = offsetMinutes(new Date(date.getTime() - shift), zone);
    return here - later === halves * 30 || earlier - here === halves * 30;
  });
}

/**
 * `style`: date, time, datetime, second (with seconds), month or day; `zone` is an IANA name. A time that the clocks
 * show twice says its offset. A day without a time, such as the date of an invoice, is that day in every zone.
 */
export function formatDate(value, style = "datetime", zone = "UTC") {
  const date = new Date(value);
  if (isMissing(value) || Number.isNaN(date.getTime())) return MISSING;
  const options = { ...STYLES[style], timeZone: DAY_ALONE.test(String(value)) ? "UTC" : zone };
  if (options.hour && isTwice(date, zone)) options.timeZoneName = "shortOffset";
  return formatter("DateTimeFormat", options).format(date);
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

const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Bytes by thousands, as storage is sold: "1.5 MB". */
export function formatBytes(bytes) {
  if (isMissing(bytes)) return MISSING;
  let [amount, place] = [Number(bytes), 0];
  for (; amount >= 1000 && place < BYTE_UNITS.length - 1; place += 1) amount /= 1000;
  return written(number({ style: "unit", unit: BYTE_UNITS[place], unitDisplay: place ? "short" : "long", maximumFractionDigits: place ? 1 : 0 }), amount);
}

/** One door for declared columns, cards and live values: `kind` names the unit, never the look. */
/** What a "region" or "language" of that code is called; the code where there is no name, or none is given. */
export function nameOf(kind, code) {
  try {
    return formatter("DisplayNames", { type: kind }).of(code);
  } catch {
    return code;
  }
}

/** The collator of the page's language. */
export const inOrder = (first, second) => formatter("Collator", {}).compare(first, second);

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
    case "price":
      return formatPrice(value, currency);
    case "per_million":
      return isMissing(value) ? MISSING : formatPrice(perMillion(value), currency);
    case "duration":
      return formatDuration(value);
    case "bytes":
      return formatBytes(value);
    case "ago":
      return formatAgo(value);
    case "date":
    case "time":
    case "datetime":
    case "second":
    case "month":
    case "day":
      return formatDate(value, kind, zone);
    case "last_day": // of a period that ends with this instant, which is no more in it
      return isMissing(value) ? MISSING : formatDate(Date.parse(value) - 1, "date", zone);
    case "region":
    case "language":
      return isMissing(value) ? MISSING : nameOf(kind, value);
    default:
      return isMissing(value) ? MISSING : String(value);
  }
}

export const isDateKind = (kind) => ["date", "last_day", "time", "datetime", "second", "month", "day", "ago"].includes(kind);
export const isNumberKind = (kind) => ["number", "tokens", "compact", "percent", "money", "price", "per_million", "duration", "bytes"].includes(kind);
