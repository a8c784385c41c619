// Somebody else saved first: both values, field by field, and the choice between them. Nothing is lost by itself.
import { useEffect, useId, useRef } from "react";
import { SubmitButton } from "./forms.jsx";
import { Icon } from "./icon.jsx";
import { formatMoney, minorDigits } from "./matrix_format.js";
import { fillMessage } from "./messages.js";
import { Value } from "./value.jsx";

/** `fields` are {name, label, mine, theirs}; those with equal values are left out. */
export function ConflictPanel({ who, at, zone = "UTC", fields, busy = false, takesFocus = true, texts, formTexts, onKeepMine, onTakeTheirs }) {
  const panel = useRef(null);
  const title = useId();
  useEffect(() => {
    if (takesFocus) panel.current?.focus();
  }, []);
  const differing = (fields ?? []).filter((field) => field.mine !== field.theirs);
  return (
    <section className="conflict" role="alert" tabIndex={-1} ref={panel} aria-labelledby={title}>
      <p className="conflict-title" id={title}>
        <Icon name="triangle-alert" size={20} />
        <span>
          {fillMessage(texts.changed, { who })} <Value kind="ago" value={at} zone={zone} />
        </span>
      </p>
      <p className="muted">{differing.length > 0 ? texts.text : texts.elsewhere}</p>
      {differing.length > 0 && <Differences fields={differing} who={who} texts={texts} />}
      <div className="form-foot">
        <SubmitButton label={fillMessage(texts.take, { who })} look="" texts={formTexts} onPress={onTakeTheirs} busy={busy} />
        <SubmitButton label={texts.keep} look="primary" texts={formTexts} onPress={onKeepMine} busy={busy} />
      </div>
    </section>
  );
}

function Differences({ fields, who, texts }) {
  return (
    <div className="table-scroll on-phone-cards" role="region" tabIndex={0} aria-label={texts.differences}>
      <table className="table" role="table">
        <caption className="visually-hidden">{texts.differences}</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th scope="col" role="columnheader">
              {texts.field}
            </th>
            <th scope="col" role="columnheader">
              {texts.mine}
            </th>
            <th scope="col" role="columnheader">
              {fillMessage(texts.theirs, { who })}
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {fields.map((field) => (
            <tr key={field.name} role="row">
              <th scope="row" role="rowheader">
                {field.label}
              </th>
              <td role="cell" data-label={texts.mine}>
                {field.mine || texts.empty}
              </td>
              <td role="cell" data-label={fillMessage(texts.theirs, { who })}>
                {field.theirs || texts.empty}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What somebody typed beside what is stored, in the words of the form's own labels and choices. */
export function differencesOf(form, { values, theirs }, texts, names = {}) {
  return Object.keys(values).flatMap((name) => {
    const called = names[name] ?? name;
    if (!(called in theirs)) return [];
    const control = form.elements.namedItem(name);
    const first = control?.length && !control.tagName ? control[0] : control; // of several ticks or choices
    const words = wordsOf(control, first, texts);
    const isMinor = first?.dataset?.currency && called.endsWith("_minor");
    const there = isMinor ? major(theirs[called], first.dataset.currency) : theirs[called];
    return [{ name, label: first?.dataset?.label ?? name, mine: words(values[name]), theirs: words(there) }];
  });
}

const major = (minor, currency) => (minor === null ? "" : (minor / 10 ** minorDigits(currency)).toFixed(minorDigits(currency)));

/** How a value of the control, or of one of several, reads. */
function wordsOf(control, first, texts) {
  const currency = first?.dataset?.currency;
  const named = new Map(
    control?.tagName === "SELECT"
      ? [...control.options].map((option) => [option.value, option.text])
      : [...(control?.length && !control.tagName ? control : [])].map((one) => [one.value, one.labels?.[0]?.innerText]),
  );
  const word = (value) => named.get(value) ?? String(value ?? "");
  return (value) => {
    if (Array.isArray(value)) return [...value].sort().map(word).join(", ");
    if (typeof value === "boolean") return value ? texts.yes : texts.no;
    return currency && value ? formatMoney(value, currency) : word(value);
  };
}
