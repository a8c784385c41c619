// Two days and all between them. The calendar is React Aria's and is fetched by the pages that draw it.
import { lazy } from "react";
import { Deferred } from "./deferred.jsx";

const Picker = lazy(() => import("./date_range_picker.jsx"));

/** `start` and `end` are ISO days in `zone`, both included; `onChange({from, to, preset})` is told a settled range. */
export function DateRange({ label, hint, start, end, ...frame }) {
  const waiting = (
    <div className="field">
      <span className="label">{label}</span>
      {hint && <span className="hint">{hint}</span>}
      <div className="input date-input" aria-hidden="true" />
    </div>
  );
  return <Deferred part={Picker} waiting={waiting} {...{ label, hint, start, end }} {...frame} />;
}
