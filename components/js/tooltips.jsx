// Names and explanations that appear on hover and focus, stay while pointed at, and leave with Escape.
import { lazy } from "react";
import { Deferred } from "./deferred.jsx";
import { Icon } from "./icon.jsx";

const buttons = () => import("./tooltip_buttons.jsx");
const NamedButton = lazy(async () => ({ default: (await buttons()).IconButton }));
const Tip = lazy(async () => ({ default: (await buttons()).InfoTip }));

/** A button known by its icon. */
export function IconButton({ label, icon, look = "quiet", ...frame }) {
  const waiting = (
    <button type="button" className={`button square compact ${look}`} aria-label={label} disabled>
      <Icon name={icon} />
    </button>
  );
  return <Deferred part={NamedButton} waiting={waiting} label={label} icon={icon} look={look} {...frame} />;
}

/** An explanation behind a small "i"; it says nothing that a person needs in order to go on. */
export function InfoTip({ label, ...frame }) {
  const waiting = (
    <button type="button" className="info-tip" aria-label={label} disabled>
      <Icon name="info" />
    </button>
  );
  return <Deferred part={Tip} waiting={waiting} label={label} {...frame} />;
}
