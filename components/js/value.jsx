// A value in its element: figures in <data>, instants in <time>, both machine-readable.
import { useEffect, useState } from "react";
import { formatValue, formatDate, isDateKind, isNumberKind } from "./matrix_format.js";

const AGO_REFRESH_MS = 30_000;

export function Value({ kind = "text", value, currency, zone = "UTC", digits, exact, className = "" }) {
  // Relative time differs between the prerendered page and now, so it is drawn after mounting.
  const [, redraw] = useState(0);
  const [mounted, setMounted] = useState(false);
  useEffect(() => {
    setMounted(true);
    if (kind !== "ago") return undefined;
    const timer = setInterval(() => redraw((count) => count + 1), AGO_REFRESH_MS);
    return () => clearInterval(timer);
  }, [kind]);

  const missing = value === null || value === undefined || value === "";
  const shown = kind === "ago" && !mounted ? formatDate(value, "datetime", zone) : formatValue(kind, value, { currency, zone, digits, exact });
  if (missing) return <span className={`faint ${className}`}>{shown}</span>;
  if (isDateKind(kind)) {
    const title = kind === "ago" ? formatDate(value, "datetime", zone) : undefined;
    return (
      <time className={`num ${className}`} dateTime={String(value)} title={title}>
        {shown}
      </time>
    );
  }
  if (isNumberKind(kind)) {
    return (
      <data className={`num ${className}`} value={String(value)}>
        {shown}
      </data>
    );
  }
  return <span className={className}>{shown}</span>;
}
