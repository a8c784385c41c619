import { useEffect, useRef, useState } from "react";
import { Icon } from "./icon.jsx";
import { announce } from "./live_store.js";
import { toast } from "./signals.js";

const SHOWN_MS = 2000;

/** Copies `text`; resolves to whether the browser allowed it. */
export function useCopy(text) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      return true;
    } catch {
      return false;
    }
  };
  return [copied, copy];
}

export function CopyButton({ text, label, showLabel = false, texts }) {
  const [copied, copy] = useCopy(text);
  const press = async () => {
    if (await copy()) announce(texts.done);
    else toast.error(texts.failed);
  };
  return (
    <button type="button" className={`button quiet compact ${showLabel ? "" : "square"}`} aria-label={label} onClick={press}>
      <Icon name={copied ? "check" : "copy"} />
      {showLabel && (copied ? texts.done : label)}
    </button>
  );
}

/** A value to carry elsewhere, whole and selectable, with a button that copies it. */
export function CopyField({ fieldId, text, label, hint, texts }) {
  const [copied, copy] = useCopy(text);
  const field = useRef(null);
  const press = async () => {
    if (await copy()) {
      announce(texts.done);
      return;
    }
    field.current.select(); // the person can still copy it by hand
    toast.error(texts.failed);
  };
  return (
    <div className="field">
      <label className="label" htmlFor={fieldId}>
        {label}
      </label>
      {hint && (
        <p className="hint" id={`${fieldId}-hint`}>
          {hint}
        </p>
      )}
      <div className="copy-field">
        <input
          id={fieldId}
          ref={field}
          className="input"
          readOnly
          value={text ?? ""}
          spellCheck="false"
          autoComplete="off"
          aria-describedby={hint ? `${fieldId}-hint` : undefined}
          onFocus={(event) => event.target.select()}
        />
        <button type="button" className="button" aria-label={texts.copy_named} onClick={press}>
          <Icon name={copied ? "check" : "copy"} />
          {copied ? texts.done : texts.verb}
        </button>
      </div>
    </div>
  );
}
