// A whole number with buttons beside it. What is typed or pressed settles before anybody is told.
import { useEffect, useRef, useState } from "react";
import { descriptionsOf, FieldFrame } from "./forms.jsx";
import { Icon } from "./icon.jsx";
import { fillMessage } from "./messages.js";
import { useUnseenPart } from "./preview.js";
import { useSettled } from "./settled.js";

const MOST = 999_999_999_999; // what any quantity is at most
const numberIn = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : null);

/** `onChange` is told the text of a number within `min` and `max`; anything else is complained of when the field is left. */
export function Stepper({ name, label, hint, value, min = "0", max = "", error: given, texts, onChange }) {
  const id = `stepper-${name}`;
  const [own, setOwn] = useState("");
  const [typed, setTyped] = useState(value);
  const told = useRef(value);
  const error = own || given;
  useEffect(() => {
    if (value !== told.current) setTyped(value);
    told.current = value;
  }, [value]);

  useUnseenPart(typed !== value);

  const number = numberIn(typed);
  const complaint = complaintAbout(number, { label, min, max, texts });
  const now = useRef(typed);
  now.current = typed;
  const settle = useSettled(() => {
    if (now.current === told.current || complaintAbout(numberIn(now.current), { label, min, max, texts })) return;
    told.current = now.current;
    onChange?.(now.current);
  });

  const take = (text) => {
    setTyped(text);
    setOwn("");
    settle();
  };
  const step = (by) => {
    const next = (number ?? Number(min)) + by;
    if (next >= Number(min) && (!max || next <= Number(max))) take(String(next));
  };
  const button = (by, icon, text) => {
    const off = number === null || (by < 0 ? number <= Number(min) : Boolean(max) && number >= Number(max));
    return (
      <button type="button" className="button square" aria-label={fillMessage(text, { label })} aria-disabled={off || undefined} onClick={() => step(by)}>
        <Icon name={icon} />
      </button>
    );
  };
  return (
    <FieldFrame id={id} label={label} hint={hint} error={error}>
      <div className="stepper">
        {button(-1, "minus", texts.fewer)}
        <input
          id={id}
          name={name}
          className="input num"
          inputMode="numeric"
          autoComplete="off"
          value={typed}
          role="spinbutton"
          aria-valuenow={number ?? undefined}
          aria-valuemin={Number(min)}
          aria-valuemax={max ? Number(max) : undefined}
          aria-invalid={error ? true : undefined}
          aria-describedby={descriptionsOf(id, { hint, error })}
          onChange={(event) => take(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
            event.preventDefault();
            step(event.key === "ArrowUp" ? 1 : -1);
          }}
          onBlur={() => setOwn(complaint)}
        />
        {button(1, "plus", texts.more)}
      </div>
    </FieldFrame>
  );
}

function complaintAbout(number, { label, min, max, texts }) {
  if (number === null) return fillMessage(texts.whole, { label });
  if (number < Number(min)) return fillMessage(texts.low, { label, count: Number(min) });
  const most = Number(max || MOST);
  if (number > most) return fillMessage(texts.high, { label, count: most });
  return "";
}
