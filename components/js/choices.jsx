// What is ticked: one box or switch, and one or several of a list.
import { connection, useSignal } from "./signals.js";

/** A switch takes effect at once, so that it is off while the connection is gone. */
export function Tick({ kind, value, onChange, ...shared }) {
  const off = useSignal(connection) === "lost" && kind === "switch";
  return (
    <input
      {...shared}
      type="checkbox"
      role={kind === "switch" ? "switch" : undefined}
      className={kind === "switch" ? "switch" : "checkbox"}
      defaultChecked={value === true}
      aria-disabled={off || undefined}
      onClick={(event) => off && event.preventDefault()}
      onChange={(event) => !off && onChange?.(event.target.checked)}
    />
  );
}

export function Choices({ kind, name, options, value, onChange, required, "data-label": label }) {
  const type = kind === "radios" ? "radio" : "checkbox";
  const initial = Array.isArray(value) ? value : [value];
  return (
    <div className="choices">
      {(options ?? []).map((option) => (
        <label className="check" key={option.id}>
          <input
            type={type}
            name={name}
            value={option.id}
            className={type}
            data-label={label}
            data-many={type === "checkbox" ? "true" : undefined}
            required={type === "radio" && required}
            defaultChecked={initial.includes(option.id)}
            onChange={(event) => onChange?.(type === "radio" ? option.id : event.target.checked)}
          />
          <span>
            {option.label}
            {option.detail && <span className="hint">{option.detail}</span>}
          </span>
        </label>
      ))}
    </div>
  );
}
