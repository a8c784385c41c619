// The field in which a password is typed.
import { useState } from "react";
import { Icon } from "./icon.jsx";
import { strengthOf } from "./password_strength.js";

/** Shown on demand; pasting and password managers work. With words for it, says how hard it is to guess. */
export function Password({ texts, onChange, ...shared }) {
  const [visible, setVisible] = useState(false);
  const [strength, setStrength] = useState("");
  const says = Boolean(texts.strong);
  const change = (event) => {
    if (says) setStrength(strengthOf(event.target.value, shared.minLength ?? 0));
    onChange?.(event);
  };
  return (
    <>
      <div className="input-group">
        <input {...shared} type={visible ? "text" : "password"} className="input" autoCapitalize="none" spellCheck="false" onChange={change} />
        <button
          type="button"
          className="input-button"
          aria-pressed={visible}
          aria-label={texts.show}
          aria-controls={shared.id}
          onClick={() => setVisible(!visible)}
        >
          <Icon name={visible ? "eye-off" : "eye"} />
        </button>
      </div>
      {says && (
        <p className="strength" data-strength={strength} role="status">
          {strength && <span className="strength-bar" aria-hidden="true" />}
          {texts[strength]}
        </p>
      )}
    </>
  );
}
