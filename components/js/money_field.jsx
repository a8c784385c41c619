// An amount of money with its currency fixed beside it. What is typed or pasted is read at once and said back.
import { useState } from "react";
import { descriptionsOf, FieldFrame, useField } from "./forms.jsx";
import { formatMoney, minorDigits } from "./matrix_format.js";
import { fillMessage } from "./messages.js";
import { editable, exampleOf, readMoney } from "./money_input.js";

/** Sends a decimal string under `name`. Complains when the field is left or the form sent, not while typing. */
export function MoneyField({ name, label, hint, currency, value, required, optional, texts, onChange }) {
  const { id, error, forgive, complain } = useField(name);
  const [typed, setTyped] = useState(() => editable(value, currency));
  const read = readMoney(typed, currency);
  const words = { label, currency, places: minorDigits(currency), example: exampleOf(currency) };
  const complaint = read.problem ? fillMessage(texts[read.problem], words) : "";
  const change = (event) => {
    const text = event.target.value;
    setTyped(text);
    const now = readMoney(text, currency);
    if (now.problem) return;
    forgive(name);
    onChange?.(now.amount);
  };
  const leave = () => complaint && complain(name, complaint);
  return (
    <FieldFrame id={id} label={label} hint={hint} optional={optional} error={error}>
      <div className="input-group">
        <input
          id={id}
          className="input num"
          inputMode="decimal"
          autoComplete="off"
          value={typed}
          aria-required={required || undefined}
          aria-invalid={error ? true : undefined}
          aria-describedby={descriptionsOf(id, { hint, error, more: `${id}-currency` })}
          onChange={change}
          onBlur={leave}
        />
        <span className="input-suffix" id={`${id}-currency`}>
          {currency}
        </span>
      </div>
      <input type="hidden" name={name} value={read.amount ?? ""} data-label={label} data-currency={currency} data-complaint={complaint} data-typed="true" data-required={required} />
      <output className="hint" htmlFor={id}>
        {read.amount ? <data className="num" value={read.amount}>{`= ${formatMoney(read.amount, currency)}`}</data> : ""}
      </output>
    </FieldFrame>
  );
}
