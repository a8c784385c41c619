export function Icon({ name, size = 16, className = "" }) {
  return (
    <svg className={`icon icon-${size} ${className}`} aria-hidden="true" focusable="false">
      <use href={`/icons.svg#${name}`} />
    </svg>
  );
}
