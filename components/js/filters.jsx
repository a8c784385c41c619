import { useEffect, useRef, useState } from "react";
import { unanswered } from "./told.js";

/**
 * A text or date filter. Typing stays in the browser; the page is told the settled value, and a value that changed
 * elsewhere (cleared, or by going back) takes the place of what was typed. A page that answers slowly shows a value of
 * before while somebody types on: that takes nothing away.
 */
export function FilterInput({ id, type, value, settleMs, onSettle }) {
  const [draft, setDraft] = useState(value ?? "");
  const told = useRef([value ?? ""]);
  const timer = useRef(null);
  useEffect(() => {
    const shown = value ?? "";
    const left = unanswered(told.current, shown);
    told.current = left ?? [shown];
    if (left) return;
    clearTimeout(timer.current);
    setDraft(shown);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const settle = (text) => {
    clearTimeout(timer.current);
    if (text === told.current.at(-1)) return;
    told.current.push(text);
    onSettle?.(text);
  };
  const change = (event) => {
    const text = event.target.value;
    setDraft(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => settle(text), settleMs);
  };
  const onKeyDown = (event) => event.key === "Enter" && !event.nativeEvent.isComposing && settle(draft);
  return <input id={id} type={type} className="input" value={draft} autoComplete="off" onChange={change} onKeyDown={onKeyDown} />;
}
