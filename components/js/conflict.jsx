// Somebody else saved first: both values, field by field, and the choice between them. Nothing is lost by itself.
import { useEffect, useId, useRef } from "react";
import { SubmitButton } from "./forms.jsx";
import { Icon } from "./icon.jsx";
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
      <p className="muted">{texts.text}</p>
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
            {differing.map((field) => (
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
      <div className="form-foot">
        <SubmitButton label={fillMessage(texts.take, { who })} look="" texts={formTexts} onPress={onTakeTheirs} busy={busy} />
        <SubmitButton label={texts.keep} look="primary" texts={formTexts} onPress={onKeepMine} busy={busy} />
      </div>
    </section>
  );
}

/** What somebody typed beside what is stored, in the words of the form's own labels and choices. */
export function differencesOf(form, { values, theirs }, names = {}) {
  const called = (name) => names[name] ?? name;
  return Object.keys(values)
    .filter((name) => called(name) in theirs)
    .map((name) => {
      const control = form.elements.namedItem(name);
      const choices = control?.tagName === "SELECT" ? [...control.options] : [];
      const plain = (value) => (Array.isArray(value) ? value.join(", ") : String(value ?? ""));
      const words = (value) => choices.find((choice) => choice.value === value)?.text ?? plain(value);
      return { name, label: control?.dataset?.label ?? name, mine: words(values[name]), theirs: words(theirs[called(name)]) };
    });
}
