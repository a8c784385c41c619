// What the controls of a form hold, and what is wrong with it.
import { fillMessage } from "./messages.js";

/** What is wrong with a control, in our words; empty when nothing is. */
export function complaint(control, texts) {
  if (control.dataset.complaint) return control.dataset.complaint; // a field of ours that reads what is typed
  const { validity } = control;
  const isMissing = control.dataset.required === "true" && !control.value; // a picker's hidden value
  const label = control.dataset.label ?? control.name;
  if (validity.valid && !isMissing) return "";
  if (validity.valueMissing || isMissing) {
    if (control.type === "checkbox") return fillMessage(texts.tick, { label });
    const isChosen = control.tagName === "SELECT" || control.type === "radio" || (isMissing && control.dataset.typed !== "true");
    const text = isChosen ? texts.choose : texts.enter;
    return fillMessage(text, { label: label.charAt(0).toLowerCase() + label.slice(1) });
  }
  if (validity.typeMismatch && control.type === "email") return texts.email;
  if (validity.tooShort) return fillMessage(texts.short, { label, count: control.minLength });
  if (validity.tooLong) return fillMessage(texts.long, { label, count: control.maxLength });
  if (validity.rangeUnderflow) return fillMessage(texts.low, { label, count: control.min });
  if (validity.rangeOverflow) return fillMessage(texts.high, { label, count: control.max });
  if (validity.badInput) return fillMessage(texts.number, { label });
  if (validity.stepMismatch) return fillMessage(texts.step, { label, count: control.step });
  return fillMessage(texts.format, { label });
}

/** What a form holds, as it is sent. */
export function valuesOf(form) {
  const values = {};
  for (const control of form.elements) {
    if (!control.name || control.disabled) continue;
    if (control.type === "checkbox" && control.dataset.many === "true") {
      values[control.name] ??= [];
      if (control.checked) values[control.name].push(control.value);
    } else if (control.type === "checkbox") values[control.name] = control.checked;
    else if (control.type === "radio") values[control.name] ??= control.checked ? control.value : undefined;
    else if (control.type === "number") values[control.name] = control.value === "" ? null : Number(control.value);
    else if (control.type === "datetime-local") values[control.name] = control.value ? new Date(control.value).toISOString() : null;
    else if (control.tagName === "SELECT" && control.value === "") values[control.name] = null;
    else values[control.name] = control.value;
    if (control.type === "radio" && control.checked) values[control.name] = control.value;
  }
  return values;
}
