// A choice from many by typing part of its name.
import { lazy } from "react";
import { Deferred } from "./deferred.jsx";

const List = lazy(() => import("./picker_list.jsx"));

/**
 * `options` are `{id, label, detail}`; the chosen id travels in the form under `name`. With `searchUrl` they are looked up
 * while typing: `options` then are the first ones to show. `names` says what their ids are codes of, "region" or
 * "language": they are called as the page's language does.
 */
export function ComboBox({ name, label, hint, value, required, ...frame }) {
  const waiting = (
    <div className="field">
      <span className="label">{label}</span>
      {hint && <span className="hint">{hint}</span>}
      <input className="input" aria-label={label} disabled />
      {name && <input type="hidden" name={name} value={value ?? ""} data-label={label} data-required={required} />}
    </div>
  );
  return <Deferred part={List} waiting={waiting} {...{ name, label, hint, value, required }} {...frame} />;
}
