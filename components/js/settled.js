// What is done when somebody has stopped typing, not at every key.
import { useEffect, useRef } from "react";

const SETTLED_MS = 300; // after the last keystroke

/** Call what this gives at every key: `act` follows once, after the last of them. Without an `act` nothing does. */
export function useSettled(act) {
  const waiting = useRef(null);
  useEffect(() => () => clearTimeout(waiting.current), []);
  return () => {
    clearTimeout(waiting.current);
    if (act) waiting.current = setTimeout(act, SETTLED_MS);
  };
}
