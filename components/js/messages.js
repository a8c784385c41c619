// Messages with placeholders and plurals, as components/messages.py describes them, for texts filled in the browser.
import { formatNumber, locale } from "./matrix_format.js";

const rules = new Map();

/** Which of `forms` ("=0", "one", "few", ...) a count takes; "other" when none of them. */
export function pluralForm(count, forms) {
  const value = Number(count);
  const exact = `=${value}`;
  if (forms.includes(exact)) return exact;
  const language = locale();
  if (!rules.has(language)) rules.set(language, new Intl.PluralRules(language));
  const category = rules.get(language).select(Math.abs(value));
  return forms.includes(category) ? category : "other";
}

/** Where the brace opened just before `from` closes. */
function closing(text, from) {
  let depth = 1;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "{") depth += 1;
    if (text[at] === "}") depth -= 1;
    if (depth === 0) return at;
  }
  return text.length;
}

function formsOf(text) {
  const forms = {};
  let rest = text;
  for (let head = /^\s*(=\d+|\w+)\s*\{/.exec(rest); head; head = /^\s*(=\d+|\w+)\s*\{/.exec(rest)) {
    const end = closing(rest, head[0].length);
    forms[head[1]] = rest.slice(head[0].length, end);
    rest = rest.slice(end + 1);
  }
  return forms;
}

/** `text` with its placeholders filled; a value that is missing leaves nothing. */
export function fillMessage(text, values, count) {
  let written = "";
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "#" && count !== undefined) written += formatNumber(count);
    else if (text[at] !== "{") written += text[at];
    else {
      const end = closing(text, at + 1);
      written += filled(text.slice(at + 1, end), values);
      at = end;
    }
  }
  return written;
}

function filled(inner, values) {
  const plural = /^\s*(\w+)\s*,\s*plural\s*,/.exec(inner);
  if (!plural) return String(values[inner.trim()] ?? "");
  const count = values[plural[1]];
  const forms = formsOf(inner.slice(plural[0].length));
  return fillMessage(forms[pluralForm(count, Object.keys(forms))] ?? forms.other ?? "", values, count);
}
