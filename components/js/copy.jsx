import { useEffect, useState } from "react";
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
