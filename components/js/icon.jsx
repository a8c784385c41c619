// As in components/icons.py: shapes that point along the line of text.
const ALONG_THE_LINE = new Set(["arrow-left", "arrow-right", "chevron-left", "chevron-right", "external-link", "log-out", "send"]);

export function Icon({ name, size = 16, className = "" }) {
  return (
    <svg className={`icon icon-${size} ${ALONG_THE_LINE.has(name) ? "flips" : ""} ${className}`} aria-hidden="true" focusable="false">
      <use href={`/icons.svg#${name}`} />
    </svg>
  );
}
