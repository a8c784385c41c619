// Ranges of whole days that people ask for by name, counted from today in the organisation's zone.

/** Today's day in `zone`, as an ISO day. */
export function todayIn(zone = "UTC", now = Date.now()) {
  return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeZone: zone }).format(now);
}

const utc = (day) => new Date(`${day}T00:00:00Z`);
const isoDay = (date) => date.toISOString().slice(0, 10);

function daysLater(day, days) {
  const date = utc(day);
  date.setUTCDate(date.getUTCDate() + days);
  return isoDay(date);
}

function monthStart(day, months) {
  const date = utc(day);
  return isoDay(new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1)));
}

const RANGES = {
  today: (today) => [today, today],
  yesterday: (today) => [daysLater(today, -1), daysLater(today, -1)],
  last_7_days: (today) => [daysLater(today, -6), today],
  last_30_days: (today) => [daysLater(today, -29), today],
  last_90_days: (today) => [daysLater(today, -89), today],
  this_month: (today) => [monthStart(today, 0), today],
  last_month: (today) => [monthStart(today, -1), daysLater(monthStart(today, 0), -1)],
  this_year: (today) => [`${today.slice(0, 4)}-01-01`, today],
};

export const PRESETS = Object.keys(RANGES);

/** {from, to}: the first and the last day of a preset, both included. */
export function presetRange(preset, today) {
  const [from, to] = RANGES[preset](today);
  return { from, to };
}
