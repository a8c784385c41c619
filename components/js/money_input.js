// An amount as people write or paste it, read exactly or refused. What could be two amounts is never guessed.
import { formatNumber, locale, minorDigits } from "./matrix_format.js";

const SPACES = /[\s\u00a0\u2009\u202f]/g;
const DIRECTIONS = /[\u200e\u200f\u061c]/g;
const EXAMPLE = 1234.56;

/** Figures and separators of Arabic as those that are read here. */
const latin = (text) =>
  text.replace(/[\u0660-\u0669\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) & 0xf)).replace(/\u066b/g, ".").replace(/\u066c/g, ",");

function separators() {
  const parts = new Intl.NumberFormat(locale(), { useGrouping: "always" }).formatToParts(1234567.8);
  const of = (type) => latin(parts.find((part) => part.type === type)?.value ?? "");
  return { decimal: of("decimal"), group: of("group") };
}

/** What is left of `text` without the currency's code or sign; null when it names another one. */
function withoutCurrency(text, currency) {
  const sign = new Intl.NumberFormat(locale(), { style: "currency", currency, currencyDisplay: "narrowSymbol" })
    .formatToParts(0)
    .find((part) => part.type === "currency").value;
  const rest = text.toUpperCase().replace(currency, "").replace(sign.toUpperCase(), "").replace(sign, "");
  return /\p{L}|\p{Sc}/u.test(rest) ? null : rest;
}

/** Which separator, if any, is the decimal one; undefined when there is no single reading. */
function decimalOf(text) {
  const marks = text.match(/[.,]/g) ?? [];
  const kinds = new Set(marks);
  if (kinds.size === 2) return marks.filter((mark) => mark === marks.at(-1)).length === 1 ? marks.at(-1) : undefined;
  if (marks.length !== 1) return "";
  const [mark] = marks;
  const { decimal, group } = separators();
  if (mark === decimal || !/^\d{1,3}[.,]\d{3}$/.test(text)) return mark;
  return mark === group ? "" : undefined;
}

/**
 * {amount} as a decimal string, or {problem}: "currency" (another one), "decimals" (more than it has), or "form".
 * Nothing typed is {amount: ""}.
 */
export function readMoney(text, currency) {
  const typed = withoutCurrency(text.replace(DIRECTIONS, "").trim(), currency);
  if (typed === null) return { problem: /\p{Nd}/u.test(text) ? "currency" : "form" };
  const plain = latin(typed).replace(SPACES, " ").replace(/['\u2019]/g, " ").trim();
  if (plain === "") return { amount: "" };
  const decimal = decimalOf(plain);
  if (decimal === undefined) return { problem: "form" };
  const [whole, fraction = ""] = decimal ? [plain.slice(0, plain.lastIndexOf(decimal)), plain.slice(plain.lastIndexOf(decimal) + 1)] : [plain];
  const isWhole = /^\d+$/.test(whole) || /^\d{1,3}(?:([ .,])\d{3})(?:\1\d{3})*$/.test(whole) || /^\d{1,2}(?:,\d{2})*,\d{3}$/.test(whole);
  if (!isWhole || !/^\d*$/.test(fraction) || (decimal && fraction === "")) return { problem: "form" };
  if (fraction.length > minorDigits(currency)) return { problem: "decimals" };
  const digits = whole.replace(/[ .,]/g, "").replace(/^0+(?=\d)/, "");
  return { amount: fraction ? `${digits}.${fraction}` : digits };
}

/** An amount as it is written into a field: the language's decimal sign, no groups. */
export function editable(amount, currency) {
  if (amount === null || amount === undefined || amount === "") return "";
  const places = minorDigits(currency);
  return new Intl.NumberFormat(locale(), { useGrouping: false, minimumFractionDigits: String(amount).includes(".") ? places : 0, maximumFractionDigits: 12 }).format(amount);
}

/** How an amount of `currency` may look here. */
export const exampleOf = (currency) => formatNumber(EXAMPLE, Math.min(2, minorDigits(currency)));
