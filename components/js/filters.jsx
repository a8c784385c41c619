import { useEffect, useRef, useState } from "react";
import { unanswered } from "./told.js";

/**
 * What a control shows, and how to change that and tell the page. A value that changed elsewhere (cleared, or by going
 * back) takes its place. A page that answers slowly shows a value of before meanwhile: that takes nothing away.
 */
function useDraft(value, onSettle) {
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
  const change = (text, settleMs) => {
    setDraft(text);
    clearTimeout(timer.current);
    if (settleMs) timer.current = setTimeout(() => settle(text), settleMs);
    else settle(text);
  };
  return { draft, change, settle };
}

/** A text or date filter. Typing stays in the browser; the page is told the settled value. */
export function FilterInput({ id, type, value, settleMs, onSettle }) {
  const { draft, change, settle } = useDraft(value, onSettle);
  const onKeyDown = (event) => event.key === "Enter" && !event.nativeEvent.isComposing && settle(draft);
  return (
    <input id={id} type={type} className="input" value={draft} autoComplete="off" onChange={(event) => change(event.target.value, settleMs)} onKeyDown={onKeyDown} />
  );
}

/** A filter that is one of its options, the children. */
export function FilterSelect({ id, value, onSettle, children }) {
  const { draft, change } = useDraft(value, onSettle);
  return (
    <select id={id} className="input" value={draft} onChange={(event) => change(event.target.value)}>
      {children}
    </select>
  );
}
