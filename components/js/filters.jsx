import { useEffect, useRef, useState } from "react";

/**
 * A text or date filter. Typing stays in the browser; the page is told the settled value, and a value that changed
 * elsewhere (cleared, or by going back) takes the place of what was typed.
 */
export function FilterInput({ id, type, value, settleMs, onSettle }) {
  const [draft, setDraft] = useState(value ?? "");
  const told = useRef(value ?? "");
  const timer = useRef(null);
  useEffect(() => {
    if ((value ?? "") === told.current) return;
    told.current = value ?? "";
    clearTimeout(timer.current);
    setDraft(value ?? "");
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const settle = (text) => {
    clearTimeout(timer.current);
    if (text === told.current) return;
    told.current = text;
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
