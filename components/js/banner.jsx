// A banner that can be put away. What was put away stays away in this browser, until its key is another one.
import { useEffect, useState } from "react";
import { Icon } from "./icon.jsx";

const stored = (key) => `matrix_banner_${key}`;

export function DismissibleBanner({ remember, tone, icon, spoken, title, text, texts, onDismiss, children }) {
  const [gone, setGone] = useState(false);
  useEffect(() => {
    if (remember && localStorage.getItem(stored(remember))) setGone(true);
  }, [remember]);
  const dismiss = () => {
    if (remember) localStorage.setItem(stored(remember), "1");
    setGone(true);
    document.getElementById("content")?.focus({ preventScroll: true });
    onDismiss?.();
  };
  if (gone) return null;
  return (
    <div className={`banner tone-${tone}`}>
      <Icon name={icon} size={20} />
      <div>
        <span className="visually-hidden">{spoken}: </span>
        {title && <strong>{title}</strong>}
        <p>{text}</p>
      </div>
      {children}
      <button type="button" className="button quiet square compact" aria-label={texts.dismiss} onClick={dismiss}>
        <Icon name="x" />
      </button>
    </div>
  );
}
