// Whether fields of the page hold something else than what a preview on it was made of: then nobody can agree to it.
import { useEffect, useId } from "react";
import { valuesOf } from "./form_values.js";
import { signal, useSignal } from "./signals.js";

const unseen = signal(new Set()); // the ids of what holds something else

function mark(id, isUnseen) {
  if (unseen.get().has(id) === isUnseen) return;
  const next = new Set(unseen.get());
  if (isUnseen) next.add(id);
  else next.delete(id);
  unseen.set(next);
}

/** Say whether a part of the page holds something that no preview was made of. */
export function useUnseenPart(isUnseen) {
  const id = useId();
  useEffect(() => mark(id, isUnseen), [id, isUnseen]);
  useEffect(() => () => mark(id, false), [id]);
}

/** Whether any part of the page does. */
export const useUnseen = () => useSignal(unseen).size > 0;

const text = (value) => String(value ?? "").trim();

/** Of a form: compares what it holds with `seen`, what of its values was looked at. Call what this gives at every key. */
export function useSeenValues(form, seen) {
  const id = useId();
  const said = JSON.stringify(seen ?? {});
  const compare = () => {
    const held = form.current ? valuesOf(form.current) : {};
    mark(id, Object.entries(JSON.parse(said)).some(([name, value]) => name in held && text(held[name]) !== text(value)));
  };
  useEffect(compare, [said]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => () => mark(id, false), [id]);
  return compare;
}
